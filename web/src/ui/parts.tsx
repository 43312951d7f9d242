// Small parts that pages are put together from.
import { type ReactNode, useId } from "react";
import { ApiError } from "../api/client";
import { number, t } from "../i18n";
import { Copy } from "./Copy";
import { sentenceOf } from "./toasts";

/** The head of a page: title, what belongs beside it, and what can be done. */
export function Head({ title, note, children }: { title: string; note?: ReactNode; children?: ReactNode }) {
	return (
		<div className="mb-3 flex min-h-9 flex-wrap items-center gap-x-3 gap-y-2">
			<h1 tabIndex={-1} className="text-lg font-semibold">
				{title}
			</h1>
			{note && <span className="text-xs text-ink-3">{note}</span>}
			<div className="ml-auto flex flex-wrap gap-2">{children}</div>
		</div>
	);
}

export function Tabs<T extends string>({
	tabs,
	value,
	onChange,
	label,
}: {
	tabs: [T, string][];
	value: T;
	onChange: (tab: T) => void;
	label: string;
}) {
	return (
		<div role="tablist" aria-label={label} className="mb-3 flex gap-1 overflow-x-auto border-b border-line">
			{tabs.map(([name, words], index) => (
				<button
					key={name}
					type="button"
					role="tab"
					aria-selected={name === value}
					tabIndex={name === value ? 0 : -1}
					className={`border-b-2 px-3 py-1.5 whitespace-nowrap ${name === value ? "border-accent font-semibold text-accent" : "border-transparent text-ink-2 hover:text-ink"}`}
					onClick={() => onChange(name)}
					onKeyDown={(event) => {
						const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
						const other = step && tabs[(index + step + tabs.length) % tabs.length];
						if (other) {
							onChange(other[0]);
							(event.currentTarget.parentElement?.children[tabs.indexOf(other)] as HTMLElement)?.focus();
						}
					}}
				>
					{words}
				</button>
			))}
		</div>
	);
}

/** A labelled field; `children` gets the id and what describes it. */
export function Field({
	label,
	hint,
	error,
	children,
}: {
	label: ReactNode;
	hint?: ReactNode;
	error?: string;
	children: (props: { id: string; "aria-describedby": string; "aria-invalid": boolean }) => ReactNode;
}) {
	const id = useId();
	return (
		<div className="mb-3">
			<label htmlFor={id} className="mb-1 block text-xs font-medium text-ink-2">
				{label}
			</label>
			{children({ id, "aria-describedby": `${id}-hint`, "aria-invalid": Boolean(error) })}
			<p id={`${id}-hint`} className={`mt-1 text-xs ${error ? "text-bad" : "text-ink-3"}`}>
				{error ?? hint}
			</p>
		</div>
	);
}

/** A list with nothing in it: what it is, what to do, and the control itself. */
export function Empty({ title, hint, children }: { title: string; hint?: string; children?: ReactNode }) {
	return (
		<div className="flex flex-col items-center gap-2 px-4 py-12 text-center">
			<p className="font-medium">{title}</p>
			{hint && <p className="max-w-md text-ink-3">{hint}</p>}
			{children}
		</div>
	);
}

/** A part of the page that could not be loaded; the rest of it stays. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
	const requestId = error instanceof ApiError ? error.requestId : null;
	return (
		<div role="alert" className="flex flex-wrap items-center gap-3 px-4 py-6">
			<span className="text-bad">{sentenceOf(error)}</span>
			{requestId && (
				<span className="id flex items-center gap-1">
					{requestId}
					<Copy text={requestId} label={t("shell.copy_request_id")} />
				</span>
			)}
			{retry && (
				<button type="button" className="btn" onClick={retry}>
					{t("shell.retry")}
				</button>
			)}
		</div>
	);
}

export function Skeleton({ rows = 8 }: { rows?: number }) {
	return (
		<div aria-hidden="true" className="divide-y divide-line">
			{Array.from({ length: rows }, (_, row) => (
				<div key={row} className="flex h-9 items-center gap-4 px-3">
					<div className="h-3 w-1/4 rounded-pill bg-sunken" />
					<div className="h-3 w-1/6 rounded-pill bg-sunken" />
					<div className="h-3 flex-1 rounded-pill bg-sunken" />
				</div>
			))}
		</div>
	);
}

/** A thin bar from 0 to 1; unknown is dotted, empty is hatched: never an invisible zero. */
export function Bar({
	share,
	tone = "accent",
	label,
}: {
	share: number | null;
	tone?: "accent" | "warn" | "bad";
	label: string;
}) {
	const colours = { accent: "bg-accent", warn: "bg-warn", bad: "bg-bad" };
	if (share === null)
		return <div role="img" aria-label={label} className="h-1 rounded-full border border-dotted border-control" />;
	return (
		<div
			role="img"
			aria-label={label}
			className={`h-1 overflow-hidden rounded-full ${share <= 0 ? "bar-stripes bg-sunken" : "bg-sunken"}`}
		>
			<div className={`h-full rounded-full ${colours[tone]}`} style={{ width: `${Math.min(100, Math.max(0, share * 100))}%` }} />
		</div>
	);
}

/** A share as percent; of nothing there is none. */
export function percent(part: number, whole: number): string {
	return whole > 0 ? number(part / whole, { style: "percent", maximumFractionDigits: 1 }) : "–";
}

export function bytes(count: number): string {
	const units = ["B", "KB", "MB", "GB"];
	let value = count;
	let unit = 0;
	while (value >= 1024 && unit < units.length - 1) {
		value /= 1024;
		unit += 1;
	}
	return `${number(value, { maximumFractionDigits: value < 10 ? 1 : 0 })} ${units[unit]}`;
}

/** Milliseconds as people say them. */
export function duration(ms: number | null | undefined): string {
	if (ms === null || ms === undefined) return "–";
	if (ms < 1_000) return `${number(Math.round(ms))} ms`;
	return `${number(ms / 1_000, { maximumFractionDigits: ms < 10_000 ? 1 : 0 })} s`;
}

/** Times to the first token are counted in steps of which the first is this long: below it no figure is known. */
const FIRST_STEP_MS = 200;

/** A percentile of times to the first token. */
export function firstToken(ms: number | null | undefined): string {
	return typeof ms === "number" && ms < FIRST_STEP_MS ? `< ${duration(FIRST_STEP_MS)}` : duration(ms);
}

export function Facts({ rows }: { rows: [ReactNode, ReactNode][] }) {
	return (
		<dl className="grid grid-cols-[minmax(96px,auto)_minmax(0,1fr)] gap-x-4 gap-y-1">
			{rows.map(([name, value], index) => (
				<div key={index} className="contents">
					<dt className="text-ink-3">{name}</dt>
					<dd className="min-w-0 break-words">{value ?? "–"}</dd>
				</div>
			))}
		</dl>
	);
}

/** A box to tick, with its words. */
export function Check({
	checked,
	onChange,
	children,
}: {
	checked: boolean;
	onChange: (checked: boolean) => void;
	children: ReactNode;
}) {
	return (
		<label className="mb-3 flex items-center gap-2">
			<input
				type="checkbox"
				className="size-4 accent-accent"
				checked={checked}
				onChange={(event) => onChange(event.target.checked)}
			/>
			{children}
		</label>
	);
}
