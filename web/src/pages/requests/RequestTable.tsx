// Rows of the request log, newest first, as far back as somebody scrolls.
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api } from "../../api/client";
import { useKeys } from "../../app/keyboard";
import { number, t } from "../../i18n";
import { Icon } from "../../ui/icons";
import { duration, Empty, Failed, Skeleton } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { clock } from "../../ui/Time";
import { RequestDrawer } from "./RequestDrawer";
import { errorWord, nameOf, OutcomePill, type RequestRow, receiptWord } from "./words";

type Page = {
	items: RequestRow[];
	next: string | null;
	prev: string | null;
	estimate: number | null;
	searched_to: string | null;
};

export function RequestTable({ filter, tail }: { filter: Record<string, string>; tail?: boolean }) {
	const [query, setQuery] = useQuery();
	const open = query.get("open");
	const list = useInfiniteQuery({
		queryKey: ["requests", JSON.stringify(filter)],
		queryFn: ({ pageParam }) =>
			api.get("/admin/api/v1/requests", {
				params: { query: { ...filter, limit: 100, ...(pageParam ? { before: pageParam } : {}) } },
			}) as Promise<unknown> as Promise<Page>,
		initialPageParam: "",
		getNextPageParam: (page) => page.next ?? undefined,
		// The first page is asked for again while it is looked at; older ones do not change.
		refetchInterval: (state) => (tail && !document.hidden && (state.state.data?.pages.length ?? 0) <= 1 ? 2_000 : false),
	});
	const rows = list.data?.pages.flatMap((page) => page.items) ?? [];
	const longest = Math.max(1, ...rows.map((row) => row.duration_ms));
	const end = useRef<HTMLDivElement>(null);
	useEffect(() => {
		if (!end.current) return;
		const seen = new IntersectionObserver(
			(entries) => entries[0]?.isIntersecting && list.hasNextPage && !list.isFetchingNextPage && list.fetchNextPage(),
		);
		seen.observe(end.current);
		return () => seen.disconnect();
	}, [list.hasNextPage, list.isFetchingNextPage]);
	const [at, setAt] = useState(-1);
	const step = (by: number) => {
		const next = Math.max(0, Math.min(rows.length - 1, at + by));
		setAt(next);
		document.querySelector<HTMLElement>(`[data-request="${next}"]`)?.focus();
	};
	useKeys({
		j: () => step(1),
		k: () => step(-1),
		ArrowDown: () => step(1),
		ArrowUp: () => step(-1),
		Enter: () => rows[at] && setQuery({ open: rows[at].id }),
	});
	const openAt = rows.findIndex((row) => row.id === open || row.request_id === open);
	return (
		<div className="box overflow-x-auto">
			{list.isPending && <Skeleton rows={12} />}
			{list.isError && <Failed error={list.error} retry={() => list.refetch()} />}
			{list.data && !rows.length && <Empty title={t("requests.none")} hint={t("requests.none_hint")} />}
			{rows.length > 0 && (
				<table className="w-full lg:min-w-[860px]">
					<thead className="max-lg:hidden">
						<tr className="border-b border-line bg-bg text-left text-xs text-ink-2">
							<th className="h-8 px-3 font-semibold">{t("requests.time")}</th>
							<th className="px-2 font-semibold">{t("requests.result")}</th>
							<th className="px-2 font-semibold">{t("requests.model")}</th>
							<th className="px-2 font-semibold">{t("requests.key")}</th>
							<th className="px-2 font-semibold">{t("requests.account")}</th>
							<th className="w-32 px-2 font-semibold">{t("requests.timing")}</th>
							<th className="px-2 text-right font-semibold">{t("requests.duration")}</th>
							<th className="px-2 text-right font-semibold">{t("requests.tokens")}</th>
							<th className="px-3 font-semibold">{t("requests.notes")}</th>
						</tr>
					</thead>
					<tbody>
						{rows.map((row, index) => (
							<Row
								key={row.id}
								row={row}
								index={index}
								longest={longest}
								isOpen={row.id === open}
								onOpen={() => setQuery({ open: row.id })}
								previous={rows[index - 1]}
							/>
						))}
					</tbody>
				</table>
			)}
			<div ref={end} className="h-1" />
			{list.isFetchingNextPage && <p className="px-3 py-2 text-ink-3">{t("shell.loading")}</p>}
			{open && (
				<RequestDrawer
					id={open}
					onClose={() => setQuery({ open: null, tab: null }, "replace")}
					onStep={(by) => {
						const next = rows[openAt + by];
						if (next) setQuery({ open: next.id }, "replace");
					}}
				/>
			)}
		</div>
	);
}

function Row({
	row,
	index,
	longest,
	isOpen,
	onOpen,
	previous,
}: {
	row: RequestRow;
	index: number;
	longest: number;
	isOpen: boolean;
	onOpen: () => void;
	previous?: RequestRow;
}) {
	const day = row.at.slice(0, 10);
	const isNewDay = previous !== undefined && previous.at.slice(0, 10) !== day;
	const flags = (
		<>
			{row.attempt_count > 1 && (
				<span title={t("requests.attempts_n", { n: row.attempt_count })}>⟳{number(row.attempt_count)}</span>
			)}
			{row.receipt && row.receipt !== "new" && <span className="text-xs text-ink-2">{receiptWord(row.receipt)}</span>}
			{row.error && (
				<span className="truncate text-bad" title={row.error.message}>
					{errorWord(row.error.code)}
				</span>
			)}
		</>
	);
	return (
		<tr
			data-request={index}
			tabIndex={index === 0 || isOpen ? 0 : -1}
			aria-selected={isOpen}
			className={`cursor-pointer border-b border-line outline-offset-[-2px] last:border-0 lg:h-8 ${isOpen ? "bg-accent-soft" : "hover:bg-bg"}`}
			onClick={onOpen}
			onKeyDown={(event) => {
				if (event.key !== "Enter" && event.key !== " ") return;
				// Else the same key would press what the drawer focuses.
				event.preventDefault();
				onOpen();
			}}
		>
			<td className="px-3 whitespace-nowrap tabular-nums max-lg:hidden">
				<time dateTime={row.at} title={row.at}>
					{isNewDay && <span className="text-ink-3">{day.slice(5)} </span>}
					{clock(row.at)}
				</time>
			</td>
			<td className="px-2 max-lg:hidden">
				<OutcomePill row={row} />
			</td>
			<td
				className="max-w-40 truncate px-2 max-lg:hidden"
				title={row.mode && row.mode !== row.model ? `${row.model} → ${row.mode}` : (row.model ?? "")}
			>
				{row.model ?? "–"}
			</td>
			<td className="max-w-28 truncate px-2 text-ink-2 max-lg:hidden">{nameOf(row.key)}</td>
			<td className="max-w-36 truncate px-2 text-ink-2 max-lg:hidden">{nameOf(row.account)}</td>
			<td className="px-2 max-lg:hidden">
				<TimingBar row={row} longest={longest} />
			</td>
			<td className="px-2 text-right whitespace-nowrap tabular-nums max-lg:hidden">{duration(row.duration_ms)}</td>
			<td className="px-2 text-right whitespace-nowrap text-ink-2 tabular-nums max-lg:hidden">
				{row.completion_tokens === null ? "–" : `${number(row.prompt_tokens ?? 0)}→${number(row.completion_tokens)}`}
			</td>
			<td className="px-3 max-lg:hidden">
				<span className="flex max-w-72 items-center gap-2 overflow-hidden whitespace-nowrap">{flags}</span>
			</td>
			<td className="px-3 py-2 lg:hidden">
				<span className="flex items-center gap-2">
					<OutcomePill row={row} />
					<span className="truncate font-medium">{row.model ?? "–"}</span>
					<time className="ml-auto text-xs text-ink-2 tabular-nums" dateTime={row.at}>
						{clock(row.at)}
					</time>
				</span>
				<span className="mt-1 flex items-center gap-2 overflow-hidden text-xs whitespace-nowrap text-ink-2">
					{nameOf(row.key)} <Icon name="right" className="size-3" /> {nameOf(row.account)} · {duration(row.duration_ms)} {flags}
				</span>
			</td>
		</tr>
	);
}

/** Waiting, first byte, first token, stream: on one scale for the window. */
function TimingBar({ row, longest }: { row: RequestRow; longest: number }) {
	const share = (ms: number) => `${(ms / longest) * 100}%`;
	const queue = row.queue_ms ?? 0;
	const first = row.first_token_ms ?? row.duration_ms;
	return (
		<span
			role="img"
			aria-label={`${t("requests.first_token")} ${duration(row.first_token_ms)}`}
			title={`${t("requests.first_token")} ${duration(row.first_token_ms)}`}
			className="flex h-2 w-full overflow-hidden rounded-pill bg-sunken"
		>
			<span className="bg-control" style={{ width: share(queue) }} />
			<span className={row.outcome === "failed" ? "bg-bad" : "bg-warn"} style={{ width: share(Math.max(0, first - queue)) }} />
			<span className="bg-accent" style={{ width: share(Math.max(0, row.duration_ms - first)) }} />
		</span>
	);
}
