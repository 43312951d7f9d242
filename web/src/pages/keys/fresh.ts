/** The key that was just made, for the snippets, until the page is left. In memory only. */
export const fresh = { key: "" };
