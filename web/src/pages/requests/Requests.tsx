// The request log: volume over time, filters with counts, rows, and one request beside them.
import { useQuery as useData } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client";
import { downloadCsv } from "../../api/download";
import { useKeys } from "../../app/keyboard";
import { number, t, tCode } from "../../i18n";
import { Icon } from "../../ui/icons";
import { Head } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { toastError } from "../../ui/toasts";
import { PurgePanel } from "./PurgePanel";
import { RequestTable } from "./RequestTable";
import { Volume } from "./Volume";
import { errorWord, receiptWord } from "./words";

const FIELDS = [
	"outcome",
	"model",
	"key",
	"account",
	"error_code",
	"client",
	"receipt",
	"conversation",
	"request_id",
	"q",
] as const;
const FACETS = ["outcome", "model", "key", "account", "error_code", "client", "receipt"] as const;
const RANGES = ["1h", "6h", "24h", "7d", "30d"];

export default function Requests() {
	const [query, setQuery] = useQuery();
	const [tail, setTail] = useState(true);
	const [purging, setPurging] = useState(false);
	const range = query.get("range") ?? "24h";
	const time: Record<string, string> = query.get("from")
		? { from: query.get("from") as string, until: query.get("until") ?? "" }
		: { range };
	if (time.until === "") delete time.until;
	const filter: Record<string, string> = {};
	for (const name of FIELDS) {
		const value = query.get(name);
		if (value) filter[name] = value;
	}
	useKeys({ l: () => setTail(!tail) });
	const clear = Object.fromEntries(FIELDS.map((name) => [name, null]));
	return (
		<>
			<Head title={t("shell.requests")}>
				<button type="button" className="chip" aria-pressed={tail} title="L" onClick={() => setTail(!tail)}>
					<Icon name={tail ? "available" : "exhausted"} className="size-3" />
					{t("requests.live")}
				</button>
				<div role="group" aria-label={t("requests.range")} className="flex gap-1">
					{RANGES.map((one) => (
						<button
							key={one}
							type="button"
							className="chip"
							aria-pressed={!time.from && one === range}
							onClick={() => setQuery({ range: one === "24h" ? null : one, from: null, until: null })}
						>
							{one}
						</button>
					))}
				</div>
				<button
					type="button"
					className="btn max-sm:hidden"
					onClick={() => downloadCsv("/requests", { ...filter, ...time }, "requests.csv").catch(toastError)}
				>
					{t("overview.export_csv")}
				</button>
				<button type="button" className="btn max-sm:hidden" onClick={() => setPurging(true)}>
					{t("requests.purge")}
				</button>
			</Head>
			<Volume filter={filter} time={time} onRange={(from, until) => setQuery({ from, until })} />
			<Filters filter={filter} time={time} onChange={setQuery} onClear={() => setQuery(clear)} />
			<RequestTable filter={{ ...filter, ...time }} tail={tail} />
			{purging && <PurgePanel onClose={() => setPurging(false)} />}
		</>
	);
}

type Facet = { field: string; values: { value: string; name: string | null; count: number }[] };

function Filters({
	filter,
	time,
	onChange,
	onClear,
}: {
	filter: Record<string, string>;
	time: Record<string, string>;
	onChange: (change: Record<string, string | null>, how?: "push" | "replace") => void;
	onClear: () => void;
}) {
	const [open, setOpen] = useState(false);
	const [words, setWords] = useState(filter.q ?? "");
	const facets = useData({
		queryKey: ["requests", "facets", JSON.stringify(filter), JSON.stringify(time)],
		queryFn: () =>
			api.get("/admin/api/v1/requests/facets", {
				params: { query: { ...filter, ...time, field: FACETS.join() } },
			}) as Promise<unknown> as Promise<{ facets: Facet[] }>,
		enabled: open || Object.keys(filter).length > 0,
	});
	const word = (field: string, value: string, name?: string | null) => {
		if (field === "outcome") return tCode(`requests.outcome_${value}`, value);
		if (field === "error_code") return errorWord(value);
		if (field === "receipt") return receiptWord(value);
		return (
			name ?? facets.data?.facets.find((facet) => facet.field === field)?.values.find((one) => one.value === value)?.name ?? value
		);
	};
	return (
		<div className="mb-3 flex flex-wrap items-center gap-2">
			<form
				className="max-sm:w-full"
				onSubmit={(event) => {
					event.preventDefault();
					const text = words.trim();
					// What a client was told goes straight to its request.
					if (text.startsWith("req")) onChange({ open: text, q: null });
					else onChange({ q: text });
				}}
			>
				<input
					type="search"
					className="input w-72 max-sm:w-full"
					aria-label={t("requests.search")}
					placeholder={t("requests.search")}
					value={words}
					onChange={(event) => setWords(event.target.value)}
				/>
			</form>
			{Object.entries(filter).map(([name, value]) => (
				<button key={name} type="button" className="chip" aria-pressed="true" onClick={() => onChange({ [name]: null })}>
					{tCode(`requests.field_${name}`, name)}{" "}
					<strong>
						{value
							.split(",")
							.map((one) => word(name, one))
							.join(", ")}
					</strong>
					<Icon name="close" className="size-3" />
					<span className="sr-only">{t("accounts.remove_filter")}</span>
				</button>
			))}
			<div className="relative">
				<button type="button" className="chip" aria-expanded={open} onClick={() => setOpen(!open)}>
					<Icon name="plus" className="size-3" />
					{t("accounts.filter")}
				</button>
				{open && (
					<div className="absolute left-0 z-10 mt-1 max-h-96 w-80 max-w-[88vw] overflow-auto rounded-block border border-line bg-surface p-2">
						{(facets.data?.facets ?? []).map((facet) => (
							<fieldset key={facet.field} className="mb-2">
								<legend className="px-2 text-xs text-ink-3">{tCode(`requests.field_${facet.field}`, facet.field)}</legend>
								{facet.values.slice(0, 12).map((one) => (
									<button
										key={one.value}
										type="button"
										aria-pressed={filter[facet.field]?.split(",").includes(one.value) ?? false}
										className="flex w-full justify-between gap-3 rounded-control px-2 py-1 text-left hover:bg-sunken aria-pressed:bg-accent-soft aria-pressed:text-accent"
										onClick={() => {
											const chosen = filter[facet.field]?.split(",") ?? [];
											const next = chosen.includes(one.value)
												? chosen.filter((other) => other !== one.value)
												: [...chosen, one.value];
											onChange({ [facet.field]: next.join() });
										}}
									>
										<span className="truncate">{word(facet.field, one.value, one.name)}</span>
										<span className="text-ink-3 tabular-nums">{number(one.count)}</span>
									</button>
								))}
							</fieldset>
						))}
					</div>
				)}
			</div>
			{Object.keys(filter).length > 0 && (
				<button type="button" className="btn btn-plain h-7" onClick={onClear}>
					{t("accounts.clear_filter")}
				</button>
			)}
		</div>
	);
}
