// Before conversations or images are deleted by the list they stand in.
import { useState } from "react";
import { useLocation } from "wouter";
import { t } from "../../i18n";
import { bytes, Check } from "../../ui/parts";
import { toast } from "../../ui/toasts";
import type { Scope } from "../accounts/actions";
import { CountedDelete } from "./CountedDelete";

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
	const isConversations = kind === "conversations.delete";
	return (
		<CountedDelete
			kind={kind}
			scope={scope}
			options={isConversations ? { upstream } : {}}
			title={t("jobs.delete_matching")}
			confirm={(n) => (isConversations ? t("jobs.delete_conversations", { n }) : t("jobs.delete_images", { n }))}
			onStarted={(job) => toast(t("jobs.started"), { label: t("shell.show"), run: () => navigate(`/jobs/${job.id}`) })}
			onClose={onClose}
		>
			{({ total, side_effects }) => (
				<>
					<p className="mb-3">
						{isConversations
							? t("jobs.delete_conversations_consequence", { n: total })
							: t("jobs.delete_images_consequence", { n: total, size: bytes(side_effects.bytes) })}
					</p>
					{isConversations && (
						<Check checked={upstream} onChange={setUpstream}>
							{t("jobs.delete_upstream")}
						</Check>
					)}
				</>
			)}
		</CountedDelete>
	);
}
