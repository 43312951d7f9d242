// API keys: who may ask, how much, and what they did. A secret is shown once.
import { keepPreviousData, useQuery as useData, useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { api, type Schema } from "../../api/client";
import { number, t, tCode } from "../../i18n";
import { Menu } from "../../ui/Menu";
import { Panel } from "../../ui/Panel";
import { Pill, type Tone } from "../../ui/Pill";
import { Empty, Failed, Head, Skeleton } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { Ago, absolute } from "../../ui/Time";
import { toast, toastError } from "../../ui/toasts";
import { KeyForm } from "./KeyForm";
import { Secrets } from "./Secrets";

export type Key = Schema["KeyBody"];
export type NewKey = { id: string; name: string; key: string };

const tones: Record<string, Tone> = { enabled: "ok", disabled: "idle", expired: "idle", exhausted: "warn" };

export default function Keys() {
	const [query, setQuery] = useQuery();
	const queries = useQueryClient();
	const [words, setWords] = useState(query.get("q") ?? "");
	const [creating, setCreating] = useState(false);
	const [secrets, setSecrets] = useState<NewKey[] | null>(null);
	const [deleting, setDeleting] = useState<Key | null>(null);
	const [rotating, setRotating] = useState<Key | null>(null);
	const q = query.get("q") ?? "";
	const open = query.get("open");
	useEffect(() => {
		const wait = setTimeout(() => words !== q && setQuery({ q: words }, "replace"), 150);
		return () => clearTimeout(wait);
	}, [words]);
	const keys = useData({
		queryKey: ["keys", q],
		queryFn: () => api.get("/admin/api/v1/keys", { params: { query: { sort: "-created_at", limit: 500, ...(q ? { q } : {}) } } }),
		placeholderData: keepPreviousData,
	});
	const opened = useData({
		queryKey: ["keys", "one", open],
		queryFn: () => api.get("/admin/api/v1/keys/{id}", { params: { path: { id: open as string } } }),
		enabled: Boolean(open),
		// A form begins with what is there now.
		gcTime: 0,
	});
	const refresh = () => queries.invalidateQueries({ queryKey: ["keys"] });
	const change = useMutation({
		mutationFn: ({ id, enabled }: { id: string; enabled: boolean }) =>
			api.patch("/admin/api/v1/keys/{id}", { params: { path: { id } }, body: { enabled } as never }),
		onSuccess: refresh,
		onError: toastError,
	});
	const rotate = useMutation({
		mutationFn: (key: Key) =>
			api.post("/admin/api/v1/keys/{id}/actions/rotate", {
				params: { path: { id: key.id } },
				body: {} as never,
			}) as Promise<unknown> as Promise<NewKey>,
		onSuccess: (key) => {
			setRotating(null);
			setSecrets([key]);
			void refresh();
		},
		onError: toastError,
	});
	const remove = useMutation({
		mutationFn: (key: Key) => api.delete("/admin/api/v1/keys/{id}", { params: { path: { id: key.id } } }),
		onSuccess: () => {
			toast(t("keys.deleted"));
			setDeleting(null);
			void refresh();
		},
		onError: toastError,
	});
	return (
		<>
			<Head title={t("shell.keys")} note={keys.data && number(keys.data.total)}>
				<input
					type="search"
					className="input w-56"
					aria-label={t("keys.search")}
					placeholder={t("keys.search")}
					value={words}
					onChange={(event) => setWords(event.target.value)}
				/>
				<button type="button" className="btn btn-primary" onClick={() => setCreating(true)}>
					{t("keys.create")}
				</button>
			</Head>
			<div className="box overflow-x-auto">
				{keys.isPending && <Skeleton />}
				{keys.isError && <Failed error={keys.error} retry={() => keys.refetch()} />}
				{keys.data?.items.length === 0 && (
					<Empty title={q ? t("keys.no_match", { words: q }) : t("keys.none")} hint={q ? undefined : t("keys.none_hint")}>
						<button type="button" className="btn btn-primary" onClick={() => setCreating(true)}>
							{t("keys.create")}
						</button>
					</Empty>
				)}
				{keys.data && keys.data.items.length > 0 && (
					<table className="w-full min-w-[760px]">
						<thead>
							<tr className="border-b border-line bg-bg text-left text-xs text-ink-2">
								<th className="h-8 px-3 font-semibold">{t("keys.name")}</th>
								<th className="px-3 font-semibold">{t("keys.secret")}</th>
								<th className="px-3 font-semibold">{t("keys.state")}</th>
								<th className="px-3 text-right font-semibold">{t("keys.today")}</th>
								<th className="px-3 text-right font-semibold">{t("keys.total")}</th>
								<th className="px-3 font-semibold">{t("keys.limits")}</th>
								<th className="px-3 font-semibold">{t("keys.last_used")}</th>
								<th className="w-10">
									<span className="sr-only">{t("shell.more")}</span>
								</th>
							</tr>
						</thead>
						<tbody>
							{keys.data.items.map((key) => (
								<tr key={key.id} className="h-9 border-b border-line last:border-0 hover:bg-bg">
									<td className="max-w-56 truncate px-3">
										<button type="button" className="text-accent underline" onClick={() => setQuery({ open: key.id })}>
											{key.name}
										</button>
									</td>
									<td className="id px-3">{key.preview}</td>
									<td className="px-3">
										<Pill tone={tones[key.state] ?? "idle"} title={key.expires_at ? absolute(key.expires_at) : undefined}>
											{tCode(`keys.state_${key.state}`, key.state)}
										</Pill>
									</td>
									<td className="px-3 text-right tabular-nums">
										<Link href={`/requests?key=${key.id}`}>{number(key.requests_today)}</Link>
									</td>
									<td className="px-3 text-right tabular-nums">{number(key.requests_total)}</td>
									<td className="px-3 text-ink-2">{limits(key)}</td>
									<td className="px-3 text-ink-2">
										<Ago at={key.last_used_at} empty={t("accounts.never_used")} />
									</td>
									<td>
										<Menu
											actions={[
												{ label: t("keys.edit"), run: () => setQuery({ open: key.id }) },
												{
													label: key.enabled ? t("accounts.disable") : t("accounts.enable"),
													run: () => change.mutate({ id: key.id, enabled: !key.enabled }),
												},
												{ label: t("keys.rotate"), run: () => setRotating(key) },
												{ label: t("shell.delete"), run: () => setDeleting(key), danger: true },
											]}
										/>
									</td>
								</tr>
							))}
						</tbody>
					</table>
				)}
			</div>
			{creating && (
				<KeyForm
					onClose={() => setCreating(false)}
					onCreated={(made) => {
						setCreating(false);
						setSecrets(made);
						void refresh();
					}}
				/>
			)}
			{open && opened.data && (
				<KeyForm
					key={open}
					edited={opened.data}
					onClose={() => setQuery({ open: null }, "replace")}
					onCreated={() => undefined}
				/>
			)}
			{secrets && <Secrets keys={secrets} onClose={() => setSecrets(null)} />}
			{rotating && (
				<Panel
					centred
					title={t("keys.rotate_title", { name: rotating.name })}
					onClose={() => setRotating(null)}
					footer={
						<>
							<button type="button" className="btn" data-first onClick={() => setRotating(null)}>
								{t("shell.cancel")}
							</button>
							<button type="button" className="btn btn-primary" onClick={() => rotate.mutate(rotating)}>
								{t("keys.rotate")}
							</button>
						</>
					}
				>
					<p>{t("keys.rotate_consequence")}</p>
				</Panel>
			)}
			{deleting && (
				<Panel
					centred
					title={t("keys.delete_title", { name: deleting.name })}
					onClose={() => setDeleting(null)}
					footer={
						<>
							<button type="button" className="btn" data-first onClick={() => setDeleting(null)}>
								{t("shell.cancel")}
							</button>
							<button type="button" className="btn btn-danger" onClick={() => remove.mutate(deleting)}>
								{t("shell.delete")}
							</button>
						</>
					}
				>
					<p>{t("keys.delete_consequence", { n: deleting.requests_today })}</p>
				</Panel>
			)}
		</>
	);
}

function limits(key: Key): string {
	const parts = [
		key.requests_per_minute != null && t("keys.per_minute", { n: key.requests_per_minute }),
		key.requests_per_day != null && t("keys.per_day", { n: key.requests_per_day }),
		key.concurrent_requests != null && t("keys.at_once", { n: key.concurrent_requests }),
		key.models && t("keys.models_n", { n: key.models.length }),
	];
	return parts.filter(Boolean).join(" · ") || t("keys.unlimited");
}
