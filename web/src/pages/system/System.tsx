// What runs here and whether its parts work; what the upstream said that nobody understood; who changed what; who is signed in.

import { useQuery as useData, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, type Schema } from "../../api/client";
import { useSystem } from "../../api/queries";
import { number, t, tCode } from "../../i18n";
import { Copy } from "../../ui/Copy";
import { databaseWords } from "../../ui/database";
import { Panel } from "../../ui/Panel";
import { Pill, type Tone } from "../../ui/Pill";
import { bytes, Empty, Facts, Failed, Field, Head, Skeleton, Tabs } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { Ago, length } from "../../ui/Time";
import { sentenceOf, toast, toastError } from "../../ui/toasts";
import { AuditTable } from "./AuditTable";

type Tab = "health" | "drift" | "audit" | "sessions" | "tokens";

export default function System() {
	const [query, setQuery] = useQuery();
	const tab = (query.get("tab") as Tab) ?? "health";
	return (
		<>
			<Head title={t("shell.system")} />
			<Tabs<Tab>
				label={t("shell.system")}
				value={tab}
				onChange={(next) => setQuery({ tab: next === "health" ? null : next }, "replace")}
				tabs={[
					["health", t("system.health")],
					["drift", t("system.drift")],
					["audit", t("system.audit")],
					["sessions", t("system.sessions")],
					["tokens", t("system.tokens")],
				]}
			/>
			{tab === "health" && <Health />}
			{tab === "drift" && <Drift />}
			{tab === "audit" && <AuditTable />}
			{tab === "sessions" && <Sessions />}
			{tab === "tokens" && <Tokens />}
		</>
	);
}

const tones: Record<string, Tone> = { ok: "ok", degraded: "warn", failed: "bad" };
const marks: Record<string, string> = { ok: "available", degraded: "warning", failed: "invalid" };

function Health() {
	const system = useSystem();
	const health = useData({
		queryKey: ["system", "health"],
		queryFn: () => api.get("/admin/api/v1/system/health"),
		refetchInterval: () => (document.hidden ? false : 10_000),
	});
	return (
		<div className="grid gap-3 lg:grid-cols-2">
			<section className="box p-4">
				<h2 className="mb-2 text-base font-semibold">{t("system.components")}</h2>
				{health.isError && <Failed error={health.error} retry={() => health.refetch()} />}
				<ul>
					{health.data?.components.map((part) => (
						<li key={part.name} className="flex items-center gap-3 border-t border-line py-2 first:border-0">
							<span className="w-36">{tCode(`system.part_${part.name}`, part.name)}</span>
							<Pill tone={tones[part.status] ?? "idle"} icon={marks[part.status]}>
								{tCode(`system.status_${part.status}`, part.status)}
							</Pill>
							<span className="text-ink-2">
								{part.code ? databaseWords(part.code, part.message ?? "", part.saved_as) : part.message}
							</span>
						</li>
					))}
				</ul>
			</section>
			<section className="box p-4">
				<h2 className="mb-2 text-base font-semibold">{t("system.about")}</h2>
				{system.isPending && <Skeleton rows={4} />}
				{system.data && (
					<Facts
						rows={[
							[t("system.version"), system.data.version],
							[t("system.uptime"), length(system.data.uptime_s * 1_000)],
							[t("system.endpoints"), system.data.endpoints.join(", ")],
							[t("system.public_url"), system.data.public_url ?? t("system.not_set")],
							[t("system.storage"), `${system.data.storage.kind} · ${bytes(system.data.storage.database_bytes)}`],
							[t("system.waiting"), number(system.data.storage.writes_waiting)],
							[t("system.dropped"), number(system.data.storage.writes_dropped)],
							[
								t("system.transport"),
								`${system.data.upstream.transport} (${Object.entries(system.data.upstream.accounts)
									.map(([name, count]) => `${name} ${number(count as number)}`)
									.join(", ")})`,
							],
						]}
					/>
				)}
			</section>
		</div>
	);
}

function Drift() {
	const queries = useQueryClient();
	const drift = useData({ queryKey: ["system", "drift"], queryFn: () => api.get("/admin/api/v1/system/drift") });
	const clear = useMutation({
		mutationFn: () => api.delete("/admin/api/v1/system/drift"),
		onSuccess: () => queries.invalidateQueries({ queryKey: ["system", "drift"] }),
		onError: toastError,
	});
	if (drift.isPending) return <Skeleton />;
	if (drift.isError) return <Failed error={drift.error} retry={() => drift.refetch()} />;
	const items = drift.data.items as unknown as Record<string, string | number>[];
	if (!items.length) return <Empty title={t("system.no_drift")} hint={t("system.no_drift_hint")} />;
	return (
		<>
			<div className="box mb-3 overflow-x-auto">
				<table className="w-full min-w-[560px]">
					<tbody>
						{items.map((item, index) => (
							<tr key={index} className="border-t border-line align-top first:border-0">
								<td className="px-3 py-2">{String(item.kind ?? "")}</td>
								<td className="px-3 py-2 font-mono text-xs">{String(item.name ?? item.subject ?? "")}</td>
								<td className="px-3 py-2 text-right tabular-nums">{number(Number(item.count ?? 0))}</td>
								<td className="px-3 py-2 text-ink-2">
									<Ago at={String(item.last_seen_at ?? item.last_at ?? "") || null} />
								</td>
								<td className="max-w-md px-3 py-2 font-mono text-xs break-all text-ink-2">{String(item.sample ?? "")}</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
			<button type="button" className="btn" onClick={() => clear.mutate()}>
				{t("system.forget_drift")}
			</button>
		</>
	);
}

function Sessions() {
	const queries = useQueryClient();
	const sessions = useData({ queryKey: ["sessions"], queryFn: () => api.get("/admin/api/v1/sessions") });
	const refresh = () => queries.invalidateQueries({ queryKey: ["sessions"] });
	const end = useMutation({
		mutationFn: (id: string) => api.delete("/admin/api/v1/sessions/{id}", { params: { path: { id } } }),
		onSuccess: refresh,
		onError: toastError,
	});
	return (
		<div className="grid items-start gap-3 lg:grid-cols-[minmax(0,1fr)_360px]">
			<div className="box overflow-x-auto">
				{sessions.isPending && <Skeleton />}
				{sessions.isError && <Failed error={sessions.error} retry={() => sessions.refetch()} />}
				<ul>
					{sessions.data?.items.map((session) => (
						<li key={session.id} className="flex items-center gap-3 border-t border-line px-3 py-2 first:border-0">
							<div className="min-w-0 flex-1">
								<strong>{session.username}</strong> {session.current && <Pill tone="info">{t("system.this_session")}</Pill>}
								<p className="truncate text-xs text-ink-2">
									{session.address} · {session.user_agent}
								</p>
							</div>
							<span className="text-xs text-ink-2">
								<Ago at={session.last_seen_at} />
							</span>
							{!session.current && (
								<button type="button" className="btn" onClick={() => end.mutate(session.id)}>
									{t("shell.sign_out")}
								</button>
							)}
						</li>
					))}
				</ul>
			</div>
			<Password />
		</div>
	);
}

function Password() {
	const [form, setForm] = useState({ current: "", fresh: "" });
	const change = useMutation({
		mutationFn: () => api.put("/admin/api/v1/me/password", { body: { current: form.current, new: form.fresh } as never }),
		onSuccess: () => {
			toast(t("system.password_changed"));
			setForm({ current: "", fresh: "" });
		},
	});
	return (
		<form
			className="box p-4"
			onSubmit={(event) => {
				event.preventDefault();
				change.mutate();
			}}
		>
			<h2 className="mb-2 text-base font-semibold">{t("system.password")}</h2>
			<Field label={t("system.current_password")}>
				{(props) => (
					<input
						{...props}
						className="input"
						type="password"
						autoComplete="current-password"
						required
						value={form.current}
						onChange={(event) => setForm({ ...form, current: event.target.value })}
					/>
				)}
			</Field>
			<Field
				label={t("system.new_password")}
				hint={t("door.password_hint")}
				error={change.isError ? sentenceOf(change.error) : undefined}
			>
				{(props) => (
					<input
						{...props}
						className="input"
						type="password"
						autoComplete="new-password"
						minLength={10}
						required
						value={form.fresh}
						onChange={(event) => setForm({ ...form, fresh: event.target.value })}
					/>
				)}
			</Field>
			<button type="submit" className="btn btn-primary" disabled={change.isPending}>
				{t("system.change_password")}
			</button>
		</form>
	);
}

const SCOPES = ["read", "accounts", "keys", "settings", "all"];

function Tokens() {
	const queries = useQueryClient();
	const tokens = useData({ queryKey: ["tokens"], queryFn: () => api.get("/admin/api/v1/tokens") });
	const [creating, setCreating] = useState(false);
	const [made, setMade] = useState("");
	const [name, setName] = useState("");
	const [scopes, setScopes] = useState(["read"]);
	const refresh = () => queries.invalidateQueries({ queryKey: ["tokens"] });
	const create = useMutation({
		mutationFn: () =>
			api.post("/admin/api/v1/tokens", { body: { name, scopes } as never }) as Promise<unknown> as Promise<{ token: string }>,
		onSuccess: (token) => {
			setMade(token.token);
			void refresh();
		},
		onError: toastError,
	});
	const remove = useMutation({
		mutationFn: (id: string) => api.delete("/admin/api/v1/tokens/{id}", { params: { path: { id } } }),
		onSuccess: refresh,
		onError: toastError,
	});
	const items = (tokens.data as { items: Schema["TokenBody"][] } | undefined)?.items ?? [];
	return (
		<>
			<p className="mb-3 max-w-2xl text-ink-2">{t("system.tokens_hint")}</p>
			<button type="button" className="btn btn-primary mb-3" onClick={() => setCreating(true)}>
				{t("system.create_token")}
			</button>
			<div className="box">
				{tokens.isPending && <Skeleton rows={3} />}
				{tokens.isError && <Failed error={tokens.error} retry={() => tokens.refetch()} />}
				{tokens.data && !items.length && <Empty title={t("system.no_tokens")} />}
				<ul>
					{items.map((token) => (
						<li key={token.id} className="flex items-center gap-3 border-t border-line px-3 py-2 first:border-0">
							<strong className="min-w-0 truncate">{token.name}</strong>
							<span className="text-ink-2">{token.scopes.join(", ")}</span>
							<span className="ml-auto text-xs text-ink-2">
								<Ago at={token.last_used_at} empty={t("accounts.never_used")} />
							</span>
							<button type="button" className="btn btn-danger" onClick={() => remove.mutate(token.id)}>
								{t("shell.delete")}
							</button>
						</li>
					))}
				</ul>
			</div>
			{creating && (
				<Panel
					centred
					title={t("system.create_token")}
					onClose={() => {
						setCreating(false);
						setMade("");
					}}
				>
					{made ? (
						<>
							<p className="mb-2">{t("keys.once")}</p>
							<p className="flex items-center gap-2">
								<code className="min-w-0 flex-1 font-mono text-xs break-all">{made}</code>
								<Copy text={made} />
							</p>
						</>
					) : (
						<form
							onSubmit={(event) => {
								event.preventDefault();
								create.mutate();
							}}
						>
							<Field label={t("keys.name")}>
								{(props) => (
									<input
										{...props}
										className="input"
										required
										autoFocus
										value={name}
										onChange={(event) => setName(event.target.value)}
									/>
								)}
							</Field>
							<fieldset className="mb-3">
								<legend className="mb-1 text-xs text-ink-2">{t("system.scopes")}</legend>
								{SCOPES.map((scope) => (
									<label key={scope} className="mr-4 inline-flex items-center gap-1.5">
										<input
											type="checkbox"
											className="size-4 accent-accent"
											checked={scopes.includes(scope)}
											onChange={(event) =>
												setScopes(event.target.checked ? [...scopes, scope] : scopes.filter((one) => one !== scope))
											}
										/>
										{scope}
									</label>
								))}
							</fieldset>
							<button type="submit" className="btn btn-primary" disabled={!scopes.length}>
								{t("system.create_token")}
							</button>
						</form>
					)}
				</Panel>
			)}
		</>
	);
}
