// Before accounts are deleted: exactly which, what else is touched, and whether they can be had back.
import { useState } from "react";
import { useLocation } from "wouter";
import { number, t } from "../../i18n";
import { Check } from "../../ui/parts";
import { toast } from "../../ui/toasts";
import { CountedDelete } from "../jobs/CountedDelete";
import { type Scope, undoDeletion } from "./actions";
import { stateWord } from "./state";

export function DeletePanel({ scope, onClose, onDone }: { scope: Scope; onClose: () => void; onDone: () => void }) {
	const [, navigate] = useLocation();
	const [purge, setPurge] = useState(false);
	return (
		<CountedDelete
			kind="accounts.delete"
			scope={scope}
			options={{ purge }}
			title={t("accounts.delete_title")}
			confirm={(n) => t("accounts.delete_n", { n })}
			onStarted={(job) => {
				toast(
					t("jobs.started"),
					purge
						? { label: t("shell.show"), run: () => navigate(`/jobs/${job.id}`) }
						: { label: t("shell.undo"), run: () => void undoDeletion(navigate, job.id) },
				);
				onDone();
			}}
			onClose={onClose}
		>
			{({ total, side_effects, by_state, samples }) => (
				<>
					<p className="mb-2">
						{t("accounts.delete_consequence", { n: total, conversations: side_effects.conversations })}{" "}
						{purge ? t("accounts.delete_final") : t("accounts.delete_bin")}
					</p>
					{side_effects.in_flight > 0 && (
						<p className="mb-2 text-warn">{t("accounts.delete_in_flight", { n: side_effects.in_flight })}</p>
					)}
					<ul className="mb-2 flex flex-wrap gap-x-4">
						{Object.entries(by_state).map(([name, count]) => (
							<li key={name}>
								{stateWord(name)} <strong>{number(count as number)}</strong>
							</li>
						))}
					</ul>
					<ul className="mb-3 max-h-40 overflow-auto text-xs text-ink-2">
						{samples.map((sample) => (
							<li key={sample.id}>
								{sample.label} <span className="id">{sample.fingerprint.slice(0, 6)}</span>
							</li>
						))}
						{total > samples.length && <li>{t("accounts.and_more", { n: total - samples.length })}</li>}
					</ul>
					<Check checked={purge} onChange={setPurge}>
						{t("accounts.purge")}
					</Check>
				</>
			)}
		</CountedDelete>
	);
}
