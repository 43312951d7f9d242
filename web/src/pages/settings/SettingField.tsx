// One setting: what it is, its value in the form that fits it, its default, and when a change is felt.
import { useMutation } from "@tanstack/react-query";
import { api } from "../../api/client";
import { number, t, tCode } from "../../i18n";
import { duration } from "../../ui/parts";
import { sentenceOf } from "../../ui/toasts";
import { word } from "./Settings";

export type Entry = {
	name: string;
	group: string;
	type: "string" | "integer" | "boolean" | "array";
	format?: string;
	choices?: string[];
	min?: number;
	max?: number;
	unit?: "seconds" | "minutes" | "days" | "megabytes" | "count";
	secret: boolean;
	effect: string;
	default: unknown;
	doc: { en: string; zh: string };
};

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** A value as it is typed: durations as `90s`, `5m`, `20h`. */
export function shown(entry: Entry, value: unknown): string {
	if (value === undefined || value === null) return "";
	if (entry.type === "array") return (value as string[]).join("\n");
	if (entry.type === "integer" && entry.unit === "seconds") {
		const seconds = Number(value);
		for (const unit of ["h", "m"]) {
			const size = SECONDS[unit] as number;
			if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
		}
		return `${seconds}s`;
	}
	return String(value);
}

/** What is typed, as a value; an empty number never means 0. */
export function parse(entry: Entry, text: string): { value: unknown } | { problem: string } {
	if (entry.type === "boolean") return { value: text === "true" };
	if (entry.type === "array")
		return {
			value: text
				.split("\n")
				.map((line) => line.trim())
				.filter(Boolean),
		};
	if (entry.type !== "integer") return { value: text };
	const trimmed = text.trim().toLowerCase();
	const match = /^(\d+)\s*([a-z]*)$/.exec(trimmed);
	if (!match) return { problem: t("settings.not_a_number") };
	const unit = match[2] ?? "";
	const isTime = entry.unit === "seconds";
	if (unit && !(isTime && unit in SECONDS) && !(entry.unit === "megabytes" && unit === "mb"))
		return { problem: t("settings.not_a_number") };
	const value = Number(match[1]) * (isTime ? (SECONDS[unit || "s"] as number) : 1);
	if ((entry.min !== undefined && value < entry.min) || (entry.max !== undefined && value > entry.max)) {
		return { problem: t("settings.range", { min: shown(entry, entry.min), max: shown(entry, entry.max) }) };
	}
	return { value };
}

export function SettingField({
	entry,
	value,
	typed,
	problem,
	onType,
}: {
	entry: Entry;
	value: unknown;
	typed: string | undefined;
	problem?: string;
	onType: (text: string | undefined) => void;
}) {
	const id = `field-${entry.name}`;
	const text = typed ?? shown(entry, value);
	const isDefault = JSON.stringify(value) === JSON.stringify(entry.default);
	const choices = entry.choices;
	const common = { id, "aria-describedby": `${id}-hint`, "aria-invalid": Boolean(problem) };
	return (
		<div
			id={`setting-${entry.name}`}
			className="grid gap-x-6 gap-y-1 border-t border-line py-3 first-of-type:border-0 sm:grid-cols-[minmax(0,1fr)_minmax(160px,280px)]"
		>
			<div className="min-w-0">
				<label htmlFor={id} className="font-medium">
					{!isDefault && (
						<span className="mr-1.5 inline-block size-2 rounded-full bg-accent align-middle" title={t("settings.differs")} />
					)}
					{word(entry.doc)}
				</label>
				<p id={`${id}-hint`} className={`text-xs ${problem ? "text-bad" : "text-ink-3"}`}>
					{problem ?? (
						<>
							<span className="font-mono">{entry.name}</span> · {tCode(`settings.effect_${entry.effect}`, entry.effect)}
							{!entry.secret && !isDefault && (
								<>
									{" "}
									·{" "}
									<button type="button" className="text-accent underline" onClick={() => onType(shown(entry, entry.default))}>
										{t("settings.reset", { value: shown(entry, entry.default) || t("settings.empty") })}
									</button>
								</>
							)}
						</>
					)}
				</p>
			</div>
			<div>
				{entry.type === "boolean" ? (
					<label className="flex h-8 items-center gap-2">
						<input
							{...common}
							type="checkbox"
							className="size-4 accent-accent"
							checked={text === "true"}
							onChange={(event) => onType(String(event.target.checked))}
						/>
						{text === "true" ? t("settings.on") : t("settings.off")}
					</label>
				) : choices ? (
					<select {...common} className="input" value={text} onChange={(event) => onType(event.target.value)}>
						{choices.map((choice) => (
							<option key={choice}>{choice}</option>
						))}
					</select>
				) : entry.type === "array" ? (
					<textarea
						{...common}
						className="input font-mono text-xs"
						rows={2}
						value={text}
						onChange={(event) => onType(event.target.value)}
					/>
				) : entry.secret ? (
					<input
						{...common}
						className="input"
						type="password"
						autoComplete="new-password"
						placeholder={value ? t("settings.secret_set") : t("settings.secret_unset")}
						value={typed ?? ""}
						onChange={(event) => onType(event.target.value || undefined)}
					/>
				) : entry.type === "integer" ? (
					<span className="flex items-center gap-2">
						<input
							{...common}
							className="input w-28 text-right tabular-nums"
							value={text}
							inputMode="text"
							onChange={(event) => onType(event.target.value)}
						/>
						<span className="text-xs text-ink-3">
							{entry.unit && entry.unit !== "seconds" && entry.unit !== "count"
								? tCode(`settings.unit_${entry.unit}`, entry.unit)
								: ""}
						</span>
					</span>
				) : (
					<input {...common} className="input" spellCheck={false} value={text} onChange={(event) => onType(event.target.value)} />
				)}
				{entry.secret && Boolean(value) && typed === undefined && (
					<button type="button" className="mt-1 text-xs text-accent underline" onClick={() => onType("")}>
						{t("settings.clear_secret")}
					</button>
				)}
				{entry.name === "proxy_url" && <TestProxy typed={typed} />}
			</div>
		</div>
	);
}

/** Whether the way out works, before it is saved. */
function TestProxy({ typed }: { typed: string | undefined }) {
	const test = useMutation({
		mutationFn: () =>
			api.post("/admin/api/v1/settings/test/proxy", {
				body: (typed === undefined ? {} : { proxy_url: typed }) as never,
			}) as Promise<Record<string, unknown>>,
	});
	return (
		<div className="mt-1 text-xs">
			<button type="button" className="text-accent underline" disabled={test.isPending} onClick={() => test.mutate()}>
				{t("settings.test")}
			</button>{" "}
			<span aria-live="polite">
				{test.isPending && "…"}
				{test.isError && <span className="text-bad">{sentenceOf(test.error)}</span>}
				{test.data && (
					<span className={test.data.ok ? "text-ok" : "text-bad"}>
						{test.data.ok
							? t("settings.test_ok", { took: duration(Number(test.data.latency_ms ?? 0)) })
							: String(test.data.message ?? test.data.outcome ?? "")}
						{test.data.status ? ` (${number(Number(test.data.status))})` : ""}
					</span>
				)}
			</span>
		</div>
	);
}
