// Before accounts are deleted: exactly which, what else is touched, and whether they can be had back.
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { api, type Schema } from "../../api/client";
import { number, t } from "../../i18n";
import { Panel } from "../../ui/Panel";
import { Failed, Field, Skeleton } from "../../ui/parts";
import { toast, toastError } from "../../ui/toasts";
import { runJob, type Scope, startJob } from "./actions";
import { stateWord } from "./state";

/** From so many on the number has to be typed. */
const MANY = 100;

export function DeletePanel({ scope, onClose, onDone }: { scope: Scope; onClose: () => void; onDone: () => void }) {
	const [, navigate] = useLocation();
	const [purge, setPurge] = useState(false);
	const [typed, setTyped] = useState("");
	const counted = useQuery({
		queryKey: ["dry-run", JSON.stringify(scope), purge],
		queryFn: () =>
			api.post("/admin/api/v1/jobs", {
				body: { kind: "accounts.delete", scope, options: { purge }, dry_run: true } as never,
			}) as Promise<unknown> as Promise<Schema["DryRun"]>,
		gcTime: 0,
		staleTime: Number.POSITIVE_INFINITY,
	});
	const run = useMutation({
		mutationFn: () => startJob("accounts.delete", undefined, { purge }, { confirm_token: counted.data?.confirm_token }),
		onSuccess: (job) => {
			toast(
				t("jobs.started"),
				purge
					? { label: t("shell.show"), run: () => navigate(`/jobs/${job.id}`) }
					: { label: t("shell.undo"), run: () => void runJob(navigate, "accounts.restore", { job: job.id }) },
			);
			onDone();
			onClose();
		},
		onError: toastError,
	});
	const total = counted.data?.total ?? 0;
	const isSure = total < MANY || typed.trim() === String(total);
	return (
		<Panel
			title={t("accounts.delete_title")}
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
						{t("accounts.delete_n", { n: total })}
					</button>
				</>
			}
		>
			{counted.isPending && <Skeleton rows={3} />}
			{counted.isError && <Failed error={counted.error} retry={() => counted.refetch()} />}
			{counted.data && (
				<>
					<p className="mb-2">
						{t("accounts.delete_consequence", { n: total, conversations: counted.data.side_effects.conversations })}{" "}
						{purge ? t("accounts.delete_final") : t("accounts.delete_bin")}
					</p>
					{counted.data.side_effects.in_flight > 0 && (
						<p className="mb-2 text-warn">{t("accounts.delete_in_flight", { n: counted.data.side_effects.in_flight })}</p>
					)}
					<ul className="mb-2 flex flex-wrap gap-x-4">
						{Object.entries(counted.data.by_state).map(([name, count]) => (
							<li key={name}>
								{stateWord(name)} <strong>{number(count as number)}</strong>
							</li>
						))}
					</ul>
					<ul className="mb-3 max-h-40 overflow-auto text-xs text-ink-2">
						{counted.data.samples.map((sample) => (
							<li key={sample.id}>
								{sample.label} <span className="id">{sample.fingerprint.slice(0, 6)}</span>
							</li>
						))}
						{total > counted.data.samples.length && <li>{t("accounts.and_more", { n: total - counted.data.samples.length })}</li>}
					</ul>
					<label className="mb-3 flex items-center gap-2">
						<input
							type="checkbox"
							className="size-4 accent-accent"
							checked={purge}
							onChange={(event) => setPurge(event.target.checked)}
						/>
						{t("accounts.purge")}
					</label>
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
