/** Stands for Buildbot's own module. */
export const registerPluginRegistrationConsumer = (): void => undefined;
