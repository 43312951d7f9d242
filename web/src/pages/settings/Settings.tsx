// Settings: a form made from the server's own description of them.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { ApiError, api } from "../../api/client";
import { currentLanguage, t } from "../../i18n";
import { Failed, Head, Skeleton } from "../../ui/parts";
import { sentenceOf, toast, toastError } from "../../ui/toasts";
import { History } from "./History";
import { type Entry, parse, SettingField, shown } from "./SettingField";

type Values = Record<string, unknown>;
type Schema = { groups: { name: string; title: Words }[]; settings: Entry[] };
type Words = { en: string; zh: string };

export const word = (words: Words) => (currentLanguage() === "zh-CN" ? words.zh : words.en);

/** What was typed and not saved, while another page is looked at. */
let kept: { typed: Record<string, string>; base: { values: Values; version: string } | null } = { typed: {}, base: null };

export default function Settings() {
	const { group } = useParams<{ group?: string }>();
	const [, navigate] = useLocation();
	const queries = useQueryClient();
	const schema = useQuery({
		queryKey: ["schema"],
		queryFn: () => api.get("/admin/api/v1/settings/schema") as Promise<unknown> as Promise<Schema>,
		staleTime: Number.POSITIVE_INFINITY,
	});
	const settings = useQuery({
		queryKey: ["settings"],
		queryFn: () => api.get("/admin/api/v1/settings") as Promise<unknown> as Promise<{ values: Values; version: string }>,
	});
	/** What is typed, as text, by name. */
	const [typed, setTyped] = useState(kept.typed);
	/** What the form was begun with. */
	const [base, setBase] = useState(kept.base);
	useEffect(() => {
		kept = { typed, base };
	}, [typed, base]);
	const [words, setWords] = useState("");
	const [fields, setFields] = useState<Record<string, string>>({});
	const [showDiff, setShowDiff] = useState(false);
	const names = Object.keys(typed);
	useEffect(() => {
		if (settings.data && !names.length) setBase(settings.data);
	}, [settings.data, names.length]);
	useEffect(() => {
		const ask = (event: BeforeUnloadEvent) => names.length && event.preventDefault();
		addEventListener("beforeunload", ask);
		return () => removeEventListener("beforeunload", ask);
	}, [names.length]);
	const entries = schema.data?.settings ?? [];
	const changes = useMemo(() => {
		const made: Values = {};
		const wrong: Record<string, string> = {};
		for (const [name, text] of Object.entries(typed)) {
			const entry = entries.find((one) => one.name === name);
			if (!entry) continue;
			const read = parse(entry, text);
			if ("problem" in read) wrong[name] = read.problem;
			else made[name] = read.value;
		}
		return { made, wrong };
	}, [typed, entries]);
	const save = useMutation({
		mutationFn: (version: string) =>
			api.patch("/admin/api/v1/settings", { headers: { "If-Match": `"${version}"` }, body: changes.made as never }),
		onSuccess: async () => {
			toast(t("settings.saved", { n: names.length }));
			setTyped({});
			setFields({});
			await queries.invalidateQueries({ queryKey: ["settings"] });
		},
		onError: (error) => {
			if (error instanceof ApiError && error.status === 412) {
				void settings.refetch();
				return;
			}
			if (error instanceof ApiError && error.fields.length) {
				setFields(Object.fromEntries(error.fields.map((field) => [field.path.replace(/^\//, ""), field.message])));
			}
			toastError(error);
		},
	});
	useEffect(() => {
		const press = (event: KeyboardEvent) => {
			if ((event.ctrlKey || event.metaKey) && event.key === "s") {
				event.preventDefault();
				if (base && names.length && !Object.keys(changes.wrong).length) save.mutate(base.version);
			}
		};
		addEventListener("keydown", press);
		return () => removeEventListener("keydown", press);
	});
	// A hash names one setting: `/settings#proxy_url`.
	useEffect(() => {
		const name = location.hash.slice(1);
		if (name && schema.data) document.getElementById(`setting-${name}`)?.scrollIntoView({ block: "center" });
	}, [schema.data]);
	if (schema.isPending || settings.isPending || !base) return <Skeleton />;
	if (schema.isError) return <Failed error={schema.error} retry={() => schema.refetch()} />;
	if (settings.isError) return <Failed error={settings.error} retry={() => settings.refetch()} />;
	const wanted = words.trim().toLowerCase();
	const matches = (entry: Entry) =>
		!wanted || [entry.name, entry.doc.en, entry.doc.zh].some((text) => text.toLowerCase().includes(wanted));
	const groups = schema.data.groups.filter((one) => wanted || !group || one.name === group || group === "history");
	const conflict = settings.data.version !== base.version && names.length > 0;
	return (
		<>
			<Head title={t("shell.settings")}>
				<input
					type="search"
					className="input w-64"
					aria-label={t("settings.search")}
					placeholder={t("settings.search")}
					value={words}
					onChange={(event) => setWords(event.target.value)}
				/>
			</Head>
			<div className="flex gap-6 max-lg:flex-col">
				<nav aria-label={t("shell.settings")} className="w-44 shrink-0 max-lg:w-full">
					<ul className="flex gap-1 lg:flex-col max-lg:overflow-x-auto">
						{[
							{ name: "", title: { en: t("settings.all"), zh: t("settings.all") } },
							...schema.data.groups,
							{ name: "history", title: { en: t("settings.history"), zh: t("settings.history") } },
						].map((one) => (
							<li key={one.name}>
								<Link
									href={`/settings${one.name ? `/${one.name}` : ""}`}
									aria-current={(group ?? "") === one.name ? "page" : undefined}
									className={`block rounded-control px-2.5 py-1.5 whitespace-nowrap no-underline ${(group ?? "") === one.name ? "bg-accent-soft font-semibold text-accent" : "text-ink hover:bg-sunken"}`}
								>
									{word(one.title)}
								</Link>
							</li>
						))}
					</ul>
				</nav>
				<div className="min-w-0 max-w-3xl flex-1">
					{group === "history" && !wanted ? (
						<History onReverted={() => navigate("/settings")} />
					) : (
						groups.map((one) => {
							const own = entries.filter((entry) => entry.group === one.name && matches(entry));
							if (!own.length) return null;
							return (
								<section key={one.name} className="box mb-4 px-4 pt-3 pb-1">
									<h2 className="mb-2 text-base font-semibold">{word(one.title)}</h2>
									{own.map((entry) => (
										<SettingField
											key={entry.name}
											entry={entry}
											value={base.values[entry.name]}
											typed={typed[entry.name]}
											problem={changes.wrong[entry.name] ?? fields[entry.name]}
											onType={(text) => {
												setFields(({ [entry.name]: _, ...rest }) => rest);
												setTyped(({ [entry.name]: _, ...rest }) =>
													text === undefined || text === shown(entry, base.values[entry.name])
														? rest
														: { ...rest, [entry.name]: text },
												);
											}}
										/>
									))}
								</section>
							);
						})
					)}
					{wanted && !entries.some(matches) && <p className="text-ink-3">{t("settings.nothing", { words })}</p>}
				</div>
			</div>
			{names.length > 0 && (
				<div
					role="region"
					aria-label={t("settings.unsaved")}
					className="sticky bottom-0 mt-4 rounded-block border border-accent bg-surface px-4 py-2.5"
				>
					{conflict && (
						<p role="alert" className="mb-2 text-warn">
							{t("settings.conflict")}
						</p>
					)}
					{(showDiff || conflict) && (
						<div className="mb-2 max-h-60 overflow-auto">
							<table className="w-full text-xs">
								<thead>
									<tr className="text-left text-ink-3">
										<th className="py-1">{t("settings.name")}</th>
										<th>{t("settings.before")}</th>
										{conflict && <th>{t("settings.theirs")}</th>}
										<th>{t("settings.after")}</th>
									</tr>
								</thead>
								<tbody>
									{names.map((name) => {
										const entry = entries.find((one) => one.name === name) as Entry;
										return (
											<tr key={name} className="border-t border-line align-top">
												<td className="id py-1">{name}</td>
												<td className="break-all">{entry.secret ? "••••" : shown(entry, base.values[name])}</td>
												{conflict && (
													<td className="break-all">{entry.secret ? "••••" : shown(entry, settings.data.values[name])}</td>
												)}
												<td className="break-all">{entry.secret ? t("settings.changed") : typed[name]}</td>
											</tr>
										);
									})}
								</tbody>
							</table>
						</div>
					)}
					<div className="flex flex-wrap items-center gap-2">
						<strong className="mr-auto">{t("settings.changes", { n: names.length })}</strong>
						{save.isError && !(save.error instanceof ApiError && save.error.status === 412) && (
							<span className="text-bad">{sentenceOf(save.error)}</span>
						)}
						<button type="button" className="btn" aria-expanded={showDiff} onClick={() => setShowDiff(!showDiff)}>
							{t("settings.diff")}
						</button>
						<button type="button" className="btn" onClick={() => setTyped({})}>
							{t("settings.discard")}
						</button>
						<button
							type="button"
							className="btn btn-primary"
							disabled={save.isPending || Object.keys(changes.wrong).length > 0}
							onClick={() => {
								// After a conflict what others changed has been seen: it is saved over their version.
								const version = conflict ? settings.data.version : base.version;
								if (conflict) setBase(settings.data);
								save.mutate(version);
							}}
						>
							{conflict ? t("settings.save_anyway") : t("shell.save")}
						</button>
					</div>
				</div>
			)}
		</>
	);
}
