// A job in one block: what it does, how far it is, and how to stop it.
import { useMutation } from "@tanstack/react-query";
import { Link } from "wouter";
import { api, type Schema } from "../api/client";
import { number, t, tCode } from "../i18n";
import { Bar } from "../ui/parts";
import { length } from "../ui/Time";
import { toastError } from "../ui/toasts";

export type Job = Schema["JobView"];

export function jobTitle(job: Job): string {
	return tCode(`jobs.kind_${job.kind.replace(".", "_")}`, job.kind, { n: job.progress.total });
}

export function useJobAction(job: Job) {
	return useMutation({
		mutationFn: (action: "cancel" | "pause" | "resume" | "retry_failed") =>
			api.post("/admin/api/v1/jobs/{id}/actions/{action}", { params: { path: { id: job.id, action } } }),
		onError: toastError,
	});
}

export function JobBar({ job }: { job: Job }) {
	const act = useJobAction(job);
	const { done, total, succeeded, failed, skipped, eta_s } = job.progress;
	return (
		<div className="mb-3">
			<div className="flex items-center gap-2">
				<Link href={`/jobs/${job.id}`} className="min-w-0 flex-1 truncate font-medium">
					{jobTitle(job)}
				</Link>
				{job.cancellable && (
					<button type="button" className="btn btn-plain h-7" disabled={act.isPending} onClick={() => act.mutate("cancel")}>
						{t("jobs.cancel")}
					</button>
				)}
				{job.resumable && (
					<button type="button" className="btn btn-plain h-7" disabled={act.isPending} onClick={() => act.mutate("resume")}>
						{t("jobs.resume")}
					</button>
				)}
			</div>
			<Bar share={total ? done / total : 1} tone={failed ? "warn" : "accent"} label={`${number(done)} / ${number(total)}`} />
			<p className="mt-1 text-xs text-ink-2 tabular-nums">
				{number(done)} / {number(total)} · {t("jobs.counts", { succeeded, failed, skipped })}
				{eta_s != null && job.state === "running" && ` · ${t("jobs.eta", { length: length(eta_s * 1_000) })}`}
				{job.state !== "running" && ` · ${t(`jobs.state_${job.state}` as "jobs.state_paused")}`}
			</p>
		</div>
	);
}
