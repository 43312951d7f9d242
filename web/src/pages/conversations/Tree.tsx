// The turns of a conversation as a rail: the main branch straight, siblings named, moves as events between them.
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { api, type Schema } from "../../api/client";
import { number, t, tCode } from "../../i18n";
import { Icon } from "../../ui/icons";
import { Pill } from "../../ui/Pill";
import { Empty, Failed, Skeleton } from "../../ui/parts";
import { Ago } from "../../ui/Time";
import { toastError } from "../../ui/toasts";
import { nameOf, receiptWord } from "../requests/words";

type Content = {
	turns: {
		turn_id: string;
		user?: string | null;
		assistant?: string | null;
		error?: { code: string; message?: string } | null;
	}[];
};

const rails = ["border-accent", "border-warn", "border-ok", "border-info"];

export function Tree({ id }: { id: string }) {
	const tree = useQuery({
		queryKey: ["conversations", "tree", id],
		queryFn: () => api.get("/admin/api/v1/conversations/{id}/tree", { params: { path: { id } } }),
	});
	const texts = useMutation({
		mutationFn: () =>
			api.post("/admin/api/v1/conversations/{id}/actions/fetch_content", {
				params: { path: { id } },
				body: {} as never,
			}) as Promise<unknown> as Promise<Content>,
		onError: toastError,
	});
	if (tree.isPending) return <Skeleton />;
	if (tree.isError) return <Failed error={tree.error} retry={() => tree.refetch()} />;
	const { turns, moves } = tree.data as { turns: Schema["TurnView"][]; moves: Schema["MoveView"][] };
	if (!turns.length) return <Empty title={t("requests.no_turns")} />;
	const owners = [...new Set(turns.map((turn) => turn.account.id))];
	return (
		<div className="box p-4">
			<div className="mb-3 flex items-center gap-3">
				<button type="button" className="btn" disabled={texts.isPending} onClick={() => texts.mutate()}>
					{t("requests.fetch_content")}
				</button>
				<span className="text-xs text-ink-3">{t("requests.fetch_content_hint")}</span>
			</div>
			<ol>
				{turns.map((turn) => {
					const text = texts.data?.turns.find((one) => one.turn_id === turn.id);
					const move = moves.find((one) => one.turn_id === turn.id);
					return (
						<li key={turn.id} className={turn.sibling > 1 ? "ml-6" : ""}>
							{move && (
								<p className="flex items-center gap-1 py-1 pl-4 text-xs text-ink-2">
									<Icon name="right" className="size-3" />
									{tCode(`requests.move_${move.kind}`, move.kind, {
										from: nameOf(move.from as never),
										to: nameOf(move.to as never),
									})}{" "}
									· <Ago at={move.at} />
								</p>
							)}
							<div className={`border-l-4 py-2 pl-4 ${rails[owners.indexOf(turn.account.id) % rails.length]}`}>
								<div className="flex flex-wrap items-center gap-x-3 gap-y-1">
									<strong>{t("requests.turn_n", { n: turn.depth })}</strong>
									{turn.siblings > 1 && (
										<span className="text-xs text-ink-2 tabular-nums">
											‹ {number(turn.sibling)}/{number(turn.siblings)} ›
										</span>
									)}
									{turn.is_head && <Pill tone="info">{t("requests.head")}</Pill>}
									<span className="text-ink-2">{turn.model}</span>
									<span className="text-xs text-ink-2">{receiptWord(turn.receipt)}</span>
									<Link href={`/accounts/${turn.account.id}`} className="text-xs">
										{nameOf(turn.account as never)}
									</Link>
									{turn.request_id && (
										<Link href={`/requests?open=${turn.request_id}`} className="text-xs">
											{t("requests.request")}
										</Link>
									)}
									<span className="ml-auto text-xs text-ink-3">
										{t("requests.characters", { n: turn.answer_length })} · <Ago at={turn.at} />
									</span>
								</div>
								{text?.user && <p className="mt-1.5 rounded-control bg-sunken px-3 py-2 whitespace-pre-wrap">{text.user}</p>}
								{text?.assistant && <p className="mt-1.5 whitespace-pre-wrap">{text.assistant}</p>}
								{text?.error && (
									<p className="mt-1 text-bad">{tCode(`error.${text.error.code}`, text.error.message ?? text.error.code)}</p>
								)}
							</div>
						</li>
					);
				})}
			</ol>
		</div>
	);
}
