import * as React from "react";

/** Whether an element has come into sight, once and for good: what is not looked at is not asked for. */
export function useSeen<Seen extends Element>(): [React.RefObject<Seen>, boolean] {
  const element = React.useRef<Seen>(null);
  const [seen, setSeen] = React.useState(false);
  React.useEffect(() => {
    if (seen || !element.current) {
      return undefined;
    }
    const observer = new IntersectionObserver(
      entries => entries.some(entry => entry.isIntersecting) && setSeen(true), {rootMargin: "200px"});
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [seen]);
  return [element, seen];
}
