/** The version of this package, as package.json and the Python package state it. */
export const VERSION = "0.1.0";
