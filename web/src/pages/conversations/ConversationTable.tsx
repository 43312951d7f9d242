// Conversations in a table, wherever they are listed.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { api, type Schema } from "../../api/client";
import { number, t } from "../../i18n";
import { Pill } from "../../ui/Pill";
import { Empty, Failed, Skeleton } from "../../ui/parts";
import { Ago } from "../../ui/Time";
import { nameOf, receiptWord } from "../requests/words";

export type Conversation = Schema["ConversationView"];

/** Those that match, page by page, the last used first. */
export function useConversations(filter: Record<string, string>) {
	return useInfiniteQuery({
		queryKey: ["conversations", JSON.stringify(filter)],
		queryFn: ({ pageParam }) =>
			api.get("/admin/api/v1/conversations", {
				params: { query: { ...filter, limit: 50, ...(pageParam ? { before: pageParam } : {}) } },
			}),
		initialPageParam: "",
		getNextPageParam: (page) => page.next ?? undefined,
	});
}

export function ConversationTable({ list }: { list: ReturnType<typeof useConversations> }) {
	const items = list.data?.pages.flatMap((page) => page.items) ?? [];
	return (
		<div className="box overflow-x-auto">
			{list.isPending && <Skeleton />}
			{list.isError && <Failed error={list.error} retry={() => list.refetch()} />}
			{list.data && !items.length && <Empty title={t("requests.no_conversations")} hint={t("requests.no_conversations_hint")} />}
			{items.length > 0 && (
				<table className="w-full min-w-[820px]">
					<thead>
						<tr className="border-b border-line bg-bg text-left text-xs text-ink-2">
							<th className="h-8 px-3 font-semibold">{t("requests.conversation")}</th>
							<th className="px-3 font-semibold">{t("requests.key")}</th>
							<th className="px-3 font-semibold">{t("requests.account")}</th>
							<th className="px-3 text-right font-semibold">{t("requests.turns")}</th>
							<th className="px-3 font-semibold">{t("requests.model")}</th>
							<th className="px-3 font-semibold">{t("requests.last_turn")}</th>
							<th className="px-3 font-semibold">{t("requests.last_active")}</th>
							<th className="px-3 font-semibold">{t("requests.expires")}</th>
						</tr>
					</thead>
					<tbody>
						{items.map((one) => (
							<tr key={one.id} className="h-9 border-b border-line last:border-0 hover:bg-bg">
								<td className="max-w-64 truncate px-3">
									<Link href={`/conversations/${one.id}`}>{one.title ?? `${one.id.slice(0, 18)}…`}</Link>
								</td>
								<td className="px-3">{nameOf(one.key as never)}</td>
								<td className="px-3">
									<Owner conversation={one} />
								</td>
								<td className="px-3 text-right tabular-nums">{number(one.turns)}</td>
								<td className="px-3 text-ink-2">{one.model ?? "–"}</td>
								<td className="px-3 text-ink-2">{receiptWord(one.last_turn.receipt)}</td>
								<td className="px-3 text-ink-2">
									<Ago at={one.last_used_at} />
								</td>
								<td className="px-3 text-ink-2">
									<Ago at={one.expires_at} />
								</td>
							</tr>
						))}
					</tbody>
				</table>
			)}
			{list.hasNextPage && (
				<button type="button" className="btn m-3" onClick={() => list.fetchNextPage()}>
					{t("shell.show_more")}
				</button>
			)}
		</div>
	);
}

export function Owner({ conversation }: { conversation: Conversation }) {
	return (
		<>
			<Link href={`/accounts/${conversation.account.id}`}>{nameOf(conversation.account as never)}</Link>
			{conversation.orphaned && <Pill tone="bad">{t("requests.orphaned")}</Pill>}
			{conversation.moves > 0 && (
				<span className="ml-1 text-xs text-ink-2">{t("requests.moved_n", { n: conversation.moves })}</span>
			)}
		</>
	);
}
