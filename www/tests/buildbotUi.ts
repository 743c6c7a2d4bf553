/** Stands for Buildbot's own module. */
export const useTopbarItems = (): void => undefined;
