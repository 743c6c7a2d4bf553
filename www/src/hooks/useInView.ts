import * as React from "react";

/** A ref for an element, and whether the element has ever been scrolled into view. */
export function useInView<Target extends Element>(): [React.RefObject<Target>, boolean] {
  const element = React.useRef<Target>(null);
  const [inView, setInView] = React.useState(false);
  React.useEffect(() => {
    if (inView || !element.current) {
      return undefined;
    }
    const observer = new IntersectionObserver(
      entries => entries.some(entry => entry.isIntersecting) && setInView(true), {rootMargin: "200px"});
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [inView]);
  return [element, inView];
}
