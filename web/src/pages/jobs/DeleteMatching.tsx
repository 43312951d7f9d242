// Before conversations or images are deleted by the list they stand in: how many, and whether there is a way back.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { api, type Schema } from "../../api/client";
import { t } from "../../i18n";
import { Panel } from "../../ui/Panel";
import { bytes, Failed, Field, Skeleton } from "../../ui/parts";
import { toast, toastError } from "../../ui/toasts";
import { type Scope, startJob } from "../accounts/actions";

/** From so many on the number has to be typed. */
const MANY = 100;

export function DeleteMatching({
	kind,
	scope,
	onClose,
}: {
	kind: "conversations.delete" | "images.delete";
	scope: Scope;
	onClose: () => void;
}) {
	const [, navigate] = useLocation();
	const [upstream, setUpstream] = useState(false);
	const [typed, setTyped] = useState("");
	const isConversations = kind === "conversations.delete";
	const options = isConversations ? { upstream } : {};
	const counted = useQuery({
		queryKey: ["dry-run", kind, JSON.stringify(scope), upstream],
		queryFn: () =>
			api.post("/admin/api/v1/jobs", {
				body: { kind, scope, options, dry_run: true } as never,
			}) as Promise<unknown> as Promise<Schema["DryRun"]>,
		gcTime: 0,
		staleTime: Number.POSITIVE_INFINITY,
	});
	const run = useMutation({
		mutationFn: () => startJob(kind, undefined, options, { confirm_token: counted.data?.confirm_token }),
		onSuccess: (job) => {
			toast(t("jobs.started"), { label: t("shell.show"), run: () => navigate(`/jobs/${job.id}`) });
			onClose();
		},
		onError: toastError,
	});
	const total = counted.data?.total ?? 0;
	const isSure = total < MANY || typed.trim() === String(total);
	const title = isConversations ? t("jobs.delete_conversations", { n: total }) : t("jobs.delete_images", { n: total });
	return (
		<Panel
			title={t("jobs.delete_matching")}
			onClose={onClose}
			centred
			footer={
				<>
					<button type="button" className="btn" autoFocus onClick={onClose}>
						{t("shell.cancel")}
					</button>
					<button
						type="button"
						className="btn btn-danger"
						disabled={!total || !isSure || run.isPending}
						onClick={() => run.mutate()}
					>
						{title}
					</button>
				</>
			}
		>
			{counted.isPending && <Skeleton rows={3} />}
			{counted.isError && <Failed error={counted.error} retry={() => counted.refetch()} />}
			{counted.data && (
				<>
					<p className="mb-3">
						{isConversations
							? t("jobs.delete_conversations_consequence", { n: total })
							: t("jobs.delete_images_consequence", { n: total, size: bytes(counted.data.side_effects.bytes) })}
					</p>
					{isConversations && (
						<label className="mb-3 flex items-center gap-2">
							<input
								type="checkbox"
								className="size-4 accent-accent"
								checked={upstream}
								onChange={(event) => setUpstream(event.target.checked)}
							/>
							{t("jobs.delete_upstream")}
						</label>
					)}
					{total >= MANY && (
						<Field label={t("accounts.type_count", { n: total })}>
							{(props) => (
								<input
									{...props}
									className="input w-32"
									inputMode="numeric"
									value={typed}
									onChange={(event) => setTyped(event.target.value)}
								/>
							)}
						</Field>
					)}
				</>
			)}
		</Panel>
	);
}
