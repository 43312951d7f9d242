// All accounts: what state they are in, what quota is left, and what can be done to many of them.
import { useQuery as useData } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { api } from "../../api/client";
import { downloadCsv } from "../../api/download";
import { watch } from "../../api/events";
import { useJobs, useSummary } from "../../api/queries";
import { JobBar } from "../../app/JobBar";
import { useKeys } from "../../app/keyboard";
import { number, t, tCode } from "../../i18n";
import { Icon } from "../../ui/icons";
import { Menu } from "../../ui/Menu";
import { Empty, Failed, Head, Skeleton } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { toastError } from "../../ui/toasts";
import { AccountPanel } from "./AccountPanel";
import { AddAccounts } from "./AddAccounts";
import { clearCooldown, patchAccount, runJob, type Scope } from "./actions";
import { Bin } from "./Bin";
import { DeletePanel } from "./DeletePanel";
import { FILTERS, type Filter, NO_FILTER, useAccountList, useWindows } from "./list";
import { type Account, Fingerprint, LastUsed, Quotas, reasonWord, STATES, StatePill, stateWord } from "./state";
import { TagPanel } from "./TagPanel";

const ROW = 36;
const CARD = 92;

export default function Accounts() {
	const [query, setQuery] = useQuery();
	const [path, navigate] = useLocation();
	const filter = Object.fromEntries(FILTERS.map((name) => [name, query.get(name)]).filter(([, value]) => value)) as Filter;
	const { first, changed, reload } = useAccountList(filter);
	const selection = useSelection(first.data?.view);
	const [panel, setPanel] = useState<"delete" | "tag" | "bin" | null>(null);
	const isAdding = path === "/accounts/new";
	const open = query.get("open");
	const total = first.data?.total ?? 0;
	const isFiltered = Boolean(filter.state || filter.tier || filter.tag || filter.reason || filter.duplicate || filter.q);
	const running = useJobs().data?.items.filter((job) => job.state === "running" && job.kind.startsWith("accounts.")) ?? [];
	const [dropped, setDropped] = useState<File[]>([]);
	const [isOver, setOver] = useState(false);

	useKeys({
		a: () => navigate("/accounts/new"),
		r: reload,
		Escape: () => (selection.count(total) ? selection.clear() : setQuery(NO_FILTER)),
	});
	const scope = selection.scope(first.data?.view);
	const findDead = async () => {
		const job = await runJob(navigate, "accounts.cleanup_scan", { filter: {} });
		if (job) navigate(`/jobs/${job.id}`);
	};
	const bulk = (kind: string, options = {}, undo?: { kind: string; options: Record<string, unknown> }) =>
		scope && void runJob(navigate, kind, scope, options, undo).then((job) => job && selection.clear());
	return (
		<div
			className={`flex h-full flex-col ${isOver ? "outline-2 -outline-offset-2 outline-accent" : ""}`}
			onDragOver={(event) => {
				event.preventDefault();
				setOver(true);
			}}
			onDragLeave={(event) => event.currentTarget === event.target && setOver(false)}
			onDrop={(event) => {
				event.preventDefault();
				setOver(false);
				setDropped([...event.dataTransfer.files]);
				navigate("/accounts/new");
			}}
		>
			<Head title={t("shell.accounts")} note={first.isFetching ? t("shell.loading") : undefined}>
				<button type="button" className="btn max-sm:hidden" onClick={() => setPanel("bin")}>
					{t("accounts.bin")}
				</button>
				{total > 0 && (
					<button
						type="button"
						className="btn max-sm:hidden"
						onClick={() => downloadCsv("/accounts", filter, "accounts.csv").catch(toastError)}
					>
						{t("overview.export_csv")}
					</button>
				)}
				{total > 0 && (
					<button type="button" className="btn max-sm:hidden" onClick={() => void findDead()}>
						{t("accounts.find_dead")}
					</button>
				)}
				<Link href="/accounts/new" className="btn btn-primary no-underline">
					{t("accounts.add")}
				</Link>
			</Head>
			<StateStrip value={filter.state ?? ""} onChange={(state) => setQuery({ state })} />
			<FilterBar filter={filter} onChange={setQuery} changed={changed} reload={reload} />
			<div className="box flex min-h-0 flex-1 flex-col overflow-hidden max-sm:min-h-80">
				{first.isError && <Failed error={first.error} retry={() => first.refetch()} />}
				{first.isPending ? (
					<Skeleton rows={12} />
				) : total === 0 && !first.isError ? (
					<Nothing filter={filter} isFiltered={isFiltered} clear={() => setQuery(NO_FILTER)} />
				) : (
					first.data && (
						<Grid
							view={first.data.view}
							total={total}
							sort={filter.sort ?? ""}
							onSort={(sort) => setQuery({ sort }, "replace")}
							onExpired={reload}
							selection={selection}
							onOpen={(id) => setQuery({ open: id })}
						/>
					)
				)}
			</div>
			{selection.count(total) > 0 && (
				<div
					role="region"
					aria-label={t("accounts.selection")}
					className="mt-2 flex flex-wrap items-center gap-2 rounded-block border border-accent bg-surface px-3 py-2"
				>
					<strong>{t("accounts.selected", { n: selection.count(total) })}</strong>
					{!selection.all && (
						<button type="button" className="btn btn-plain text-accent" onClick={selection.selectAll}>
							{t("accounts.select_all", { n: total })}
						</button>
					)}
					<button type="button" className="btn" onClick={() => bulk("accounts.set", { enabled: true })}>
						{t("accounts.enable")}
					</button>
					<button
						type="button"
						className="btn"
						onClick={() => bulk("accounts.set", { enabled: false }, { kind: "accounts.set", options: { enabled: true } })}
					>
						{t("accounts.disable")}
					</button>
					<button type="button" className="btn" onClick={() => bulk("accounts.check_quota")}>
						{t("accounts.check_quota")}
					</button>
					<button type="button" className="btn" onClick={() => bulk("accounts.test")}>
						{t("accounts.test")}
					</button>
					<button type="button" className="btn" onClick={() => bulk("accounts.clear_cooldown")}>
						{t("accounts.clear_cooldown")}
					</button>
					<button type="button" className="btn" onClick={() => setPanel("tag")}>
						{t("accounts.tag")}
					</button>
					<button type="button" className="btn btn-danger" onClick={() => setPanel("delete")}>
						{t("accounts.delete")}
					</button>
					<button type="button" className="btn btn-plain ml-auto" onClick={selection.clear}>
						{t("accounts.clear_selection")}
					</button>
				</div>
			)}
			{/* Below the list, so that no row moves when a job comes or goes. */}
			{running.map((job) => (
				<div key={job.id} className="box mt-2 px-3 pt-2">
					<JobBar job={job} />
				</div>
			))}
			{isAdding && <AddAccounts files={dropped} onClose={() => navigate("/accounts")} />}
			{open && <AccountPanel id={open} onClose={() => setQuery({ open: null }, "replace")} />}
			{panel === "bin" && <Bin onClose={() => setPanel(null)} onRestored={reload} />}
			{panel === "delete" && scope && <DeletePanel scope={scope} onClose={() => setPanel(null)} onDone={selection.clear} />}
			{panel === "tag" && scope && (
				<TagPanel
					onClose={() => setPanel(null)}
					onDone={(options) => {
						setPanel(null);
						bulk("accounts.tag", options);
					}}
				/>
			)}
		</div>
	);
}

/** What is selected: single accounts, or all of the list but some. */
function useSelection(view: string | undefined) {
	const [all, setAll] = useState(false);
	const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
	useEffect(() => {
		// "All" is of one list; single accounts stay selected whatever is shown.
		setAll((was) => {
			if (was) setIds(new Set());
			return false;
		});
	}, [view]);
	const toggle = (id: string) => {
		const next = new Set(ids);
		if (!next.delete(id)) next.add(id);
		setIds(next);
	};
	return {
		all,
		has: (id: string) => (all ? !ids.has(id) : ids.has(id)),
		toggle,
		add: (more: string[]) => setIds(new Set(all ? [...ids].filter((id) => !more.includes(id)) : [...ids, ...more])),
		selectAll: () => {
			setIds(new Set());
			setAll(true);
		},
		clear: () => {
			setIds(new Set());
			setAll(false);
		},
		count: (total: number) => (all ? total - ids.size : ids.size),
		scope: (of: string | undefined): Scope | undefined =>
			all ? (of ? { view: of, except: [...ids] } : undefined) : ids.size ? { ids: [...ids].slice(0, 1_000) } : undefined,
	};
}

function StateStrip({ value, onChange }: { value: string; onChange: (state: string) => void }) {
	const summary = useSummary().data;
	const chosen = value.split(",").filter(Boolean);
	const item = (name: string, words: string, count: number | undefined) => {
		const isOn = name ? chosen.includes(name) : !chosen.length;
		return (
			<button
				key={name}
				type="button"
				aria-pressed={isOn}
				className={`border-r border-line px-3.5 py-2 text-left last:border-r-0 hover:bg-sunken ${isOn ? "bg-accent-soft hover:bg-accent-soft" : ""}`}
				onClick={(event) => {
					const several = event.ctrlKey || event.metaKey;
					if (!name) onChange("");
					else if (several) onChange((isOn ? chosen.filter((one) => one !== name) : [...chosen, name]).join());
					else onChange(isOn && chosen.length === 1 ? "" : name);
				}}
			>
				<span className="block text-xs whitespace-nowrap text-ink-2">{words}</span>
				<span className="block text-lg leading-6 font-semibold tabular-nums">{count === undefined ? "–" : number(count)}</span>
			</button>
		);
	};
	return (
		<div role="group" aria-label={t("accounts.states")} className="box mb-3 flex shrink-0 overflow-x-auto">
			{item("", t("accounts.all"), summary?.total)}
			{STATES.map((name) => item(name, stateWord(name), summary?.states[name] ?? (summary ? 0 : undefined)))}
		</div>
	);
}

function FilterBar({
	filter,
	onChange,
	changed,
	reload,
}: {
	filter: Filter;
	onChange: (change: Record<string, string | null>, how?: "push" | "replace") => void;
	changed: boolean;
	reload: () => void;
}) {
	const [words, setWords] = useState(filter.q ?? "");
	const [open, setOpen] = useState(false);
	useEffect(() => setWords(filter.q ?? ""), [filter.q]);
	useEffect(() => {
		// A token that somebody pastes never gets into an address.
		if (words.startsWith("eyJ") || words.includes("sso=")) {
			setWords("");
			void resolve(words).then((q) => onChange({ q }));
			return;
		}
		if (words === (filter.q ?? "")) return;
		const wait = setTimeout(() => onChange({ q: words }, "replace"), 150);
		return () => clearTimeout(wait);
	}, [words]);
	const facets = useData({
		queryKey: ["accounts", "facets", JSON.stringify(filter)],
		queryFn: () =>
			api.get("/admin/api/v1/accounts/facets", {
				params: { query: { ...filter, sort: undefined, field: "tier,tag,reason" } as never },
			}),
		enabled: open,
	});
	const chips = (["tier", "tag", "reason", "duplicate"] as const).flatMap((name) =>
		filter[name] ? [[name, filter[name] as string] as const] : [],
	);
	const word = (field: string, value: string) =>
		field === "reason" ? reasonWord(value) : field === "tier" ? tierWord(value) : value;
	return (
		<div className="mb-3 flex shrink-0 flex-wrap items-center gap-2">
			<input
				type="search"
				className="input w-72 max-sm:w-full"
				aria-label={t("accounts.search")}
				placeholder={t("accounts.search")}
				value={words}
				onChange={(event) => setWords(event.target.value)}
			/>
			{chips.map(([name, value]) => (
				<button key={name} type="button" className="chip" aria-pressed="true" onClick={() => onChange({ [name]: null })}>
					{name === "duplicate" ? (
						<strong>{t("accounts.duplicate")}</strong>
					) : (
						<>
							{t(`accounts.filter_${name}` as "accounts.filter_tier")}{" "}
							<strong>
								{value
									.split(",")
									.map((one) => word(name, one))
									.join(", ")}
							</strong>
						</>
					)}
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
					<div className="absolute left-0 z-10 mt-1 max-h-96 w-72 overflow-auto rounded-block border border-line bg-surface p-2">
						{(["tier", "tag", "reason"] as const).map((field) => (
							<fieldset key={field} className="mb-2">
								<legend className="px-2 text-xs text-ink-3">{t(`accounts.filter_${field}` as "accounts.filter_tier")}</legend>
								{(facets.data?.[field] ?? []).map(({ value, count }) => (
									<button
										key={value}
										type="button"
										aria-pressed={filter[field]?.split(",").includes(value) ?? false}
										className="flex w-full justify-between rounded-control px-2 py-1 text-left hover:bg-sunken aria-pressed:bg-accent-soft aria-pressed:text-accent"
										onClick={() => {
											const chosen = filter[field]?.split(",") ?? [];
											const next = chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value];
											onChange({ [field]: next.join() });
										}}
									>
										<span className="truncate">{word(field, value)}</span>
										<span className="text-ink-3 tabular-nums">{number(count)}</span>
									</button>
								))}
								{facets.data && !facets.data[field]?.length && <p className="px-2 text-xs text-ink-3">–</p>}
							</fieldset>
						))}
					</div>
				)}
			</div>
			{changed && (
				<button type="button" className="chip ml-auto border-accent text-accent" onClick={reload}>
					<Icon name="refresh" className="size-3" />
					{t("accounts.list_changed")}
				</button>
			)}
		</div>
	);
}

async function resolve(secret: string): Promise<string> {
	// The preview reads it in a body and answers a fingerprint.
	const preview = await api.post("/admin/api/v1/imports/preview", { body: { text: secret } as never });
	const item = (preview as { samples?: { fingerprint: string }[] }).samples?.[0];
	return item?.fingerprint ?? "";
}

export function tierWord(tier: string | null | undefined): string {
	return tier && tier !== "unknown" ? tCode(`accounts.tier_${tier}`, tier) : t("accounts.unknown");
}

function Nothing({ filter, isFiltered, clear }: { filter: Filter; isFiltered: boolean; clear: () => void }) {
	if (!isFiltered) {
		return (
			<Empty title={t("accounts.none")} hint={t("accounts.none_hint")}>
				<Link href="/accounts/new" className="btn btn-primary no-underline">
					{t("accounts.add")}
				</Link>
			</Empty>
		);
	}
	const words = [
		filter.state?.split(",").map(stateWord).join(", "),
		filter.tier && tierWord(filter.tier),
		filter.tag,
		filter.reason && reasonWord(filter.reason),
		filter.q,
	];
	return (
		<Empty title={t("accounts.no_match", { filter: words.filter(Boolean).join(" · ") })}>
			<button type="button" className="btn" onClick={clear}>
				{t("accounts.clear_filter")}
			</button>
		</Empty>
	);
}

type Selection = ReturnType<typeof useSelection>;

const COLUMNS = "grid-cols-[36px_minmax(180px,1.4fr)_80px_minmax(150px,1fr)_minmax(220px,430px)_110px_44px]";

function Grid({
	view,
	total,
	sort,
	onSort,
	onExpired,
	selection,
	onOpen,
}: {
	view: string;
	total: number;
	sort: string;
	onSort: (sort: string) => void;
	onExpired: () => void;
	selection: Selection;
	onOpen: (id: string) => void;
}) {
	const scroller = useRef<HTMLDivElement>(null);
	const [, navigate] = useLocation();
	const isCards = useNarrow();
	const rows = useVirtualizer({
		count: total,
		getScrollElement: () => scroller.current,
		estimateSize: () => (isCards ? CARD : ROW),
		overscan: 6,
	});
	useEffect(() => {
		rows.measure();
	}, [isCards]);
	const items = rows.getVirtualItems();
	const from = items[0]?.index ?? 0;
	const to = items.at(-1)?.index ?? 0;
	const rowAt = useWindows(view, from, to, onExpired);
	const [at, setAt] = useState(0);
	const [anchor, setAnchor] = useState<number | null>(null);
	const visible = items.map((item) => rowAt(item.index)?.id).filter(Boolean) as string[];
	useEffect(() => {
		watch(visible.map((id) => `account:${id}`));
		return () => watch([]);
	}, [visible.join()]);
	const move = (step: number) => {
		const next = Math.max(0, Math.min(total - 1, at + step));
		setAt(next);
		rows.scrollToIndex(next, { align: "auto" });
		requestAnimationFrame(() =>
			scroller.current?.querySelector<HTMLElement>(`[data-row="${next}"]`)?.focus({ preventScroll: true }),
		);
	};
	const select = (position: number, range: boolean) => {
		const account = rowAt(position);
		if (!account) return;
		if (range && anchor !== null) {
			const [low, high] = [Math.min(anchor, position), Math.max(anchor, position)];
			selection.add(Array.from({ length: high - low + 1 }, (_, step) => rowAt(low + step)?.id).filter(Boolean) as string[]);
		} else {
			selection.toggle(account.id);
		}
		setAnchor(position);
	};
	const here = rowAt(at);
	useKeys({
		j: () => move(1),
		k: () => move(-1),
		ArrowDown: () => move(1),
		ArrowUp: () => move(-1),
		PageDown: () => move(15),
		PageUp: () => move(-15),
		Home: () => move(-total),
		End: () => move(total),
		x: () => select(at, false),
		X: () => select(at, true),
		" ": () => here && onOpen(here.id),
		Enter: () => here && navigate(`/accounts/${here.id}`),
	});
	const header = (member: string, words: string) => {
		const direction = sort === member ? "ascending" : sort === `-${member}` ? "descending" : "none";
		return (
			<div role="columnheader" aria-sort={direction} className="min-w-0">
				<button
					type="button"
					className="flex items-center gap-1 font-semibold hover:text-ink"
					onClick={() => onSort(direction === "ascending" ? `-${member}` : direction === "descending" ? "" : member)}
				>
					{words}
					{direction !== "none" && <Icon name={direction === "ascending" ? "up" : "down"} className="size-3" />}
				</button>
			</div>
		);
	};
	return (
		<>
			<div role="grid" aria-rowcount={total + 1} aria-label={t("shell.accounts")} className="flex min-h-0 flex-1 flex-col">
				<div
					role="row"
					className={`grid ${COLUMNS} h-8 shrink-0 items-center gap-4 border-b border-line bg-bg px-2 text-xs text-ink-2 max-lg:hidden`}
				>
					<div role="columnheader">
						<input
							type="checkbox"
							className="block size-4 accent-accent"
							aria-label={t("accounts.select_window")}
							checked={selection.all}
							onChange={() => (selection.all ? selection.clear() : selection.selectAll())}
						/>
					</div>
					{header("label", t("accounts.account"))}
					{header("tier", t("accounts.tier"))}
					{header("state", t("accounts.state"))}
					<div role="columnheader" className="font-semibold">
						{t("accounts.quota")}
					</div>
					{header("last_used_at", t("accounts.last_used"))}
					<div role="columnheader">
						<span className="sr-only">{t("shell.more")}</span>
					</div>
				</div>
				<div ref={scroller} className="min-h-0 flex-1 overflow-auto" role="rowgroup">
					<div className="relative" style={{ height: rows.getTotalSize() }}>
						{items.map((item) => {
							const account = rowAt(item.index);
							return (
								<div
									key={item.key}
									role="row"
									data-row={item.index}
									aria-rowindex={item.index + 2}
									aria-selected={account ? selection.has(account.id) : undefined}
									tabIndex={item.index === at ? 0 : -1}
									onFocus={() => setAt(item.index)}
									className={`absolute inset-x-0 top-0 border-b border-line px-2 outline-offset-[-2px] ${account && selection.has(account.id) ? "bg-accent-soft" : "hover:bg-bg"}`}
									style={{ height: item.size, transform: `translateY(${item.start}px)` }}
								>
									{account ? (
										isCards ? (
											<Card account={account} selected={selection.has(account.id)} onSelect={() => select(item.index, false)} />
										) : (
											<Row
												account={account}
												selected={selection.has(account.id)}
												onSelect={(range) => select(item.index, range)}
												onOpen={onOpen}
											/>
										)
									) : (
										<div role="gridcell" className="flex h-full items-center">
											<div className="h-3 w-1/3 rounded-pill bg-sunken" />
										</div>
									)}
								</div>
							);
						})}
					</div>
				</div>
			</div>
			<footer className="flex h-8 shrink-0 items-center border-t border-line px-3 text-xs text-ink-2 tabular-nums">
				{t("accounts.position", { from: Math.min(from + 1, total), to: to + 1, total })}
			</footer>
		</>
	);
}

function Row({
	account,
	selected,
	onSelect,
	onOpen,
}: {
	account: Account;
	selected: boolean;
	onSelect: (range: boolean) => void;
	onOpen: (id: string) => void;
}) {
	return (
		<div className={`grid ${COLUMNS} h-full items-center gap-4`}>
			<div role="gridcell">
				<input
					type="checkbox"
					className="block size-4 accent-accent"
					aria-label={t("accounts.select_one", { label: account.label })}
					checked={selected}
					onChange={() => undefined}
					onClick={(event) => onSelect(event.shiftKey)}
				/>
			</div>
			<div role="gridcell" className="flex min-w-0 items-baseline gap-2">
				<Link
					href={`/accounts/${account.id}`}
					className="truncate text-ink no-underline hover:text-accent hover:underline"
					title={account.label}
				>
					{account.label}
				</Link>
				<Fingerprint account={account} />
				{account.tags.slice(0, 2).map((tag) => (
					<span key={tag} className="truncate rounded-pill border border-line px-1 text-xs text-ink-2 max-xl:hidden">
						{tag}
					</span>
				))}
			</div>
			<div role="gridcell" className={account.tier ? "" : "text-ink-3"}>
				{tierWord(account.tier)}
			</div>
			<div role="gridcell" className="min-w-0 overflow-hidden">
				<StatePill account={account} />
			</div>
			<div role="gridcell" className="min-w-0 overflow-hidden">
				<Quotas account={account} />
			</div>
			<div role="gridcell" className="truncate text-ink-2">
				<LastUsed account={account} />
			</div>
			<div role="gridcell">
				<RowMenu account={account} onOpen={onOpen} />
			</div>
		</div>
	);
}

function RowMenu({ account, onOpen }: { account: Account; onOpen: (id: string) => void }) {
	const [, navigate] = useLocation();
	const isResting = account.rests.length > 0 || ["cooling", "invalid", "exhausted"].includes(account.state.name);
	return (
		<Menu
			actions={[
				{ label: t("accounts.details"), run: () => onOpen(account.id) },
				{ label: t("accounts.show_requests"), run: () => navigate(`/requests?account=${account.id}`) },
				{
					label: t("accounts.clear_cooldown"),
					run: () => void clearCooldown(account.id),
					disabled: !isResting && t("accounts.not_resting"),
				},
				{
					label: account.enabled ? t("accounts.disable") : t("accounts.enable"),
					run: () => void patchAccount(account.id, { enabled: !account.enabled }),
				},
			]}
		/>
	);
}

function Card({ account, selected, onSelect }: { account: Account; selected: boolean; onSelect: () => void }) {
	return (
		<div role="gridcell" className="flex h-full items-center gap-3">
			<input
				type="checkbox"
				className="size-5 shrink-0 accent-accent"
				aria-label={t("accounts.select_one", { label: account.label })}
				checked={selected}
				onChange={onSelect}
			/>
			<div className="min-w-0 flex-1">
				<div className="flex items-baseline gap-2">
					<Link href={`/accounts/${account.id}`} className="truncate font-medium text-ink no-underline">
						{account.label}
					</Link>
					<Fingerprint account={account} />
					<span className="ml-auto text-xs whitespace-nowrap text-ink-2">
						<LastUsed account={account} />
					</span>
				</div>
				<div className="mt-0.5 overflow-hidden">
					<StatePill account={account} />
				</div>
				<div className="mt-1 overflow-hidden">
					<Quotas account={account} narrow />
				</div>
			</div>
		</div>
	);
}

export function useNarrow(): boolean {
	const query = matchMedia("(max-width: 1023px)");
	const [is, set] = useState(query.matches);
	useEffect(() => {
		const change = () => set(query.matches);
		query.addEventListener("change", change);
		return () => query.removeEventListener("change", change);
	}, []);
	return is;
}
