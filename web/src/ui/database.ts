// What is wrong with the database, in the reader's words.
import { tCode } from "../i18n";

/** Words for a kind of trouble; `savedAs` is the file in which the content of deleted files was saved. */
export function databaseWords(code: string | null | undefined, otherwise: string, savedAs?: string | null): string {
	const saved = savedAs ? "_saved" : "";
	return tCode(`overview.database_${code}${saved}`, otherwise, { file: savedAs ?? "" });
}

type Item = { code: string; message: string; count: number; params?: unknown };

/** Words for a line of what needs attention. */
export function attentionWords({ code, message, count, params }: Item): string {
	if (code !== "database_failing") return tCode(`overview.attention_${code}`, message, { n: count });
	const { reason, saved_as } = (params ?? {}) as { reason?: string; saved_as?: string | null };
	return databaseWords(reason, message, saved_as);
}
