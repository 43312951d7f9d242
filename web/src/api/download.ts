// Files that the browser keeps.
import { failure } from "./client";

/** Without it, spreadsheets take Chinese for something else. */
const BOM = "\ufeff";

/** Keeps a table as a CSV file. */
export function saveCsv(name: string, rows: unknown[][]) {
	const lines = rows.map((row) => `${row.map(cell).join()}\r\n`);
	save(name, new Blob([BOM, ...lines], { type: "text/csv" }));
}

/** One cell. A text that a spreadsheet would take for a formula gets an apostrophe in front. */
function cell(value: unknown): string {
	const text = String(value ?? "");
	if (typeof value !== "string") return text;
	const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
	return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** Keeps a list of the API as a CSV file: all that matches. */
export async function downloadCsv(path: "/accounts" | "/requests", query: Record<string, string>, name: string) {
	const parameters = new URLSearchParams(query);
	const response = await fetch(`/admin/api/v1${path}?${parameters}`, {
		headers: { Accept: "text/csv", "X-Requested-With": "console" },
	});
	if (!response.ok) throw failure(response, await response.json().catch(() => undefined));
	save(name, new Blob([BOM, await response.blob()], { type: "text/csv" }));
}

function save(name: string, blob: Blob) {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(blob);
	link.download = name;
	link.click();
	// The browser has taken it over by then.
	setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
