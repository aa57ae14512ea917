/** What a plan may switch off, and the server then refuses. Other names in `features` are the operator's own. */
export const FEATURES = ['typing', 'presence', 'notifications'] as const;

export type Feature = (typeof FEATURES)[number];

/** Those of a tenant, by name. What is not named is on. */
export type FeatureSwitches = Readonly<Record<string, boolean>>;
