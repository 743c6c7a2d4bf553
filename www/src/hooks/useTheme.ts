import * as React from "react";

export type Theme = "light" | "dark";

/** The brightness of a CSS colour, 0 to 255; null for what is no colour. */
function brightness(colour: string): number | null {
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(colour)?.[1];
  const parts = hex ? (hex.length === 3 ? [...hex].map(digit => digit + digit) : hex.match(/../g)!).map(part => parseInt(part, 16))
    : /^rgba?\(/.test(colour) ? colour.match(/[\d.]+/g)!.map(Number) : null;
  return parts && 0.299 * parts[0]! + 0.587 * parts[1]! + 0.114 * parts[2]!;
}

/** The colour of a system colour such as Canvas, in which forced colours are. */
function systemColour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = name;
  document.body.append(probe);
  const {color} = getComputedStyle(probe);
  probe.remove();
  return color;
}

const forcedColours = () => window.matchMedia("(forced-colors: active)");

/**
 * The theme of Buildbot's own page, which has this variable in releases with themes; others are light.
 *
 * With forced colours that of the system, as the colours of a chart's canvas are not forced.
 */
function currentTheme(): Theme {
  const colour = forcedColours().matches ? systemColour("Canvas")
    : getComputedStyle(document.documentElement).getPropertyValue("--bb-background-color").trim();
  return (brightness(colour) ?? 255) < 128 ? "dark" : "light";
}

/** The theme of the page or panel: dark only where Buildbot's page is. */
export function useTheme(): Theme {
  const [theme, setTheme] = React.useState(currentTheme);
  React.useEffect(() => {
    const update = () => setTheme(currentTheme());
    const forced = forcedColours();
    const observer = new MutationObserver(update);
    forced.addEventListener("change", update);
    observer.observe(document.documentElement, {attributes: true, attributeFilter: ["style", "class"]});
    update();
    return () => {
      forced.removeEventListener("change", update);
      observer.disconnect();
    };
  }, []);
  return theme;
}
