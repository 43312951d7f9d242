// Conversations: who holds them, how they were recognised, their tree, and a probe for "why was this not continued?".
import { useQuery as useData, useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { api, type Schema } from "../../api/client";
import { number, t, tCode } from "../../i18n";
import { Copy } from "../../ui/Copy";
import { Panel } from "../../ui/Panel";
import { Check, Facts, Failed, Head, Skeleton } from "../../ui/parts";
import { useQuery } from "../../ui/query";
import { Ago } from "../../ui/Time";
import { toast, toastError } from "../../ui/toasts";
import { DeleteMatching } from "../jobs/DeleteMatching";
import { nameOf } from "../requests/words";
import { ConversationTable, Owner, useConversations } from "./ConversationTable";
import { Probe } from "./Probe";
import { Tree } from "./Tree";

type Conversation = Schema["ConversationView"];

export default function Conversations() {
	const { id } = useParams<{ id?: string }>();
	return id ? <One id={id} /> : <All />;
}

function All() {
	const [query, setQuery] = useQuery();
	const [words, setWords] = useState(query.get("q") ?? "");
	const [probing, setProbing] = useState(false);
	const [deleting, setDeleting] = useState(false);
	const filter: Record<string, string> = {};
	for (const name of ["key", "account", "model", "moved", "orphaned", "expires_within", "q"]) {
		const value = query.get(name);
		if (value) filter[name] = value;
	}
	useEffect(() => {
		const wait = setTimeout(() => words !== (query.get("q") ?? "") && setQuery({ q: words }, "replace"), 200);
		return () => clearTimeout(wait);
	}, [words]);
	const list = useConversations(filter);
	const items = list.data?.pages.flatMap((page) => page.items) ?? [];
	const toggle = (name: string, value: string) => setQuery({ [name]: filter[name] ? null : value });
	return (
		<>
			<Head
				title={t("shell.conversations")}
				note={list.data?.pages[0]?.total == null ? undefined : number(list.data.pages[0].total)}
			>
				<button type="button" className="btn" onClick={() => setProbing(true)}>
					{t("requests.probe")}
				</button>
				{/* What was looked for by id is deleted on its own page. */}
				{!filter.q && items.length > 0 && (
					<button type="button" className="btn btn-danger" onClick={() => setDeleting(true)}>
						{t("jobs.delete_matching")}
					</button>
				)}
				{deleting && <DeleteMatching kind="conversations.delete" scope={{ filter }} onClose={() => setDeleting(false)} />}
			</Head>
			<div className="mb-3 flex flex-wrap gap-2">
				<input
					type="search"
					className="input w-72 max-sm:w-full"
					aria-label={t("requests.conversation_search")}
					placeholder={t("requests.conversation_search")}
					value={words}
					onChange={(event) => setWords(event.target.value)}
				/>
				<button type="button" className="chip" aria-pressed={Boolean(filter.moved)} onClick={() => toggle("moved", "true")}>
					{t("requests.only_moved")}
				</button>
				<button type="button" className="chip" aria-pressed={Boolean(filter.orphaned)} onClick={() => toggle("orphaned", "true")}>
					{t("requests.only_orphaned")}
				</button>
				<button
					type="button"
					className="chip"
					aria-pressed={Boolean(filter.expires_within)}
					onClick={() => toggle("expires_within", "2h")}
				>
					{t("requests.only_expiring")}
				</button>
			</div>
			<ConversationTable list={list} />
			{probing && <Probe onClose={() => setProbing(false)} />}
		</>
	);
}

function One({ id }: { id: string }) {
	const [, navigate] = useLocation();
	const queries = useQueryClient();
	const [deleting, setDeleting] = useState(false);
	const [upstream, setUpstream] = useState(false);
	const one = useData({
		queryKey: ["conversations", "one", id],
		queryFn: () => api.get("/admin/api/v1/conversations/{id}", { params: { path: { id } } }),
	});
	const extend = useMutation({
		mutationFn: () =>
			api.patch("/admin/api/v1/conversations/{id}", {
				params: { path: { id } },
				body: { expires_at: new Date(Date.now() + 30 * 86_400_000).toISOString() } as never,
			}),
		onSuccess: () => {
			toast(t("requests.extended"));
			void queries.invalidateQueries({ queryKey: ["conversations"] });
		},
		onError: toastError,
	});
	const remove = useMutation({
		mutationFn: () => api.delete("/admin/api/v1/conversations/{id}", { params: { path: { id }, query: { upstream } as never } }),
		onSuccess: () => navigate("/conversations"),
		onError: toastError,
	});
	if (one.isPending) return <Skeleton />;
	if (one.isError) return <Failed error={one.error} retry={() => one.refetch()} />;
	const conversation = one.data as Conversation;
	return (
		<>
			<nav aria-label={t("shell.breadcrumb")} className="mb-1 text-xs">
				<Link href="/conversations">{t("shell.conversations")}</Link>
			</nav>
			<Head
				title={conversation.title ?? t("requests.untitled")}
				note={
					<span className="id flex items-center gap-1">
						{id}
						<Copy text={id} />
					</span>
				}
			>
				<Link href={`/playground?conv=${id}`} className="btn no-underline">
					{t("requests.continue")}
				</Link>
				<button type="button" className="btn" onClick={() => extend.mutate()}>
					{t("requests.extend")}
				</button>
				<button type="button" className="btn btn-danger" onClick={() => setDeleting(true)}>
					{t("shell.delete")}
				</button>
			</Head>
			<div className="grid gap-3 lg:grid-cols-[minmax(0,1fr)_340px]">
				<Tree id={id} />
				<div className="box h-fit p-4">
					<Facts
						rows={[
							[t("requests.key"), nameOf(conversation.key as never)],
							[t("requests.account"), <Owner key="o" conversation={conversation} />],
							[t("requests.turns"), number(conversation.turns)],
							[t("requests.model"), conversation.model ?? "–"],
							[
								t("requests.recognised"),
								conversation.last_turn.recognised
									? tCode(`requests.recognised_${conversation.last_turn.recognised}`, conversation.last_turn.recognised)
									: "–",
							],
							[t("accounts.created"), <Ago key="c" at={conversation.created_at} />],
							[t("requests.last_active"), <Ago key="l" at={conversation.last_used_at} />],
							[t("requests.expires"), <Ago key="e" at={conversation.expires_at} />],
							[
								t("shell.requests"),
								<Link key="r" href={`/requests?conversation=${id}&range=30d`}>
									{t("shell.show")}
								</Link>,
							],
						]}
					/>
				</div>
			</div>
			{deleting && (
				<Panel
					centred
					title={t("requests.delete_conversation")}
					onClose={() => setDeleting(false)}
					footer={
						<>
							<button type="button" className="btn" data-first onClick={() => setDeleting(false)}>
								{t("shell.cancel")}
							</button>
							<button type="button" className="btn btn-danger" disabled={remove.isPending} onClick={() => remove.mutate()}>
								{t("shell.delete")}
							</button>
						</>
					}
				>
					<p className="mb-3">{t("requests.delete_conversation_hint", { n: conversation.turns })}</p>
					<Check checked={upstream} onChange={setUpstream}>
						{t("requests.delete_upstream")}
					</Check>
				</Panel>
			)}
		</>
	);
}
