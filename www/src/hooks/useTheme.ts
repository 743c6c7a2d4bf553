import * as React from "react";

export type Theme = "light" | "dark";

const ROOT_CLASS = "bbm-dark-page";

/** The theme of Buildbot's own page; null for releases without themes, which do not set this variable. */
function themeOfBuildbot(): Theme | null {
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--bb-background-color").trim();
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(colour)?.[1];
  if (!hex) {
    return null;
  }
  const parts = hex.length === 3 ? [...hex].map(digit => digit + digit) : hex.match(/../g)!;
  const [red, green, blue] = parts.map(part => parseInt(part, 16)) as [number, number, number];
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128 ? "dark" : "light";
}

const systemIsDark = () => window.matchMedia("(prefers-color-scheme: dark)");

/**
 * The theme of the page or panel.
 *
 * If Buildbot has no themes, the Measurements page follows the system and also styles Buildbot's frame; a panel is
 * light, as the page around it.
 */
export function useTheme(place: "page" | "panel"): Theme {
  const decide = React.useCallback((): Theme =>
    themeOfBuildbot() ?? (place === "page" && systemIsDark().matches ? "dark" : "light"), [place]);
  const [theme, setTheme] = React.useState(decide);

  React.useEffect(() => {
    const update = () => setTheme(decide());
    const system = systemIsDark();
    const observer = new MutationObserver(update);
    system.addEventListener("change", update);
    observer.observe(document.documentElement, {attributes: true, attributeFilter: ["style", "class"]});
    update();
    return () => {
      system.removeEventListener("change", update);
      observer.disconnect();
    };
  }, [decide]);

  React.useEffect(() => {
    if (place !== "page" || theme !== "dark" || themeOfBuildbot()) {
      return undefined;
    }
    document.documentElement.classList.add(ROOT_CLASS);
    return () => document.documentElement.classList.remove(ROOT_CLASS);
  }, [place, theme]);

  return theme;
}
