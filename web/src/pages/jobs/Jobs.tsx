// Jobs: what runs, what ran, and what became of each thing.
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useLocation, useParams } from "wouter";
import { api } from "../../api/client";
import { useJobs } from "../../api/queries";
import { type Job, JobBar, jobTitle, useJobAction } from "../../app/JobBar";
import { t, tCode } from "../../i18n";
import { Pill, type Tone } from "../../ui/Pill";
import { Bar, duration, Empty, Failed, Head, Skeleton, Tabs } from "../../ui/parts";
import { Ago } from "../../ui/Time";
import { toastError } from "../../ui/toasts";
import { runJob } from "../accounts/actions";
import { DeletePanel } from "../accounts/DeletePanel";

const tones: Record<string, Tone> = {
	running: "info",
	pausing: "info",
	cancelling: "warn",
	paused: "warn",
	interrupted: "warn",
	succeeded: "ok",
	partially_failed: "warn",
	failed: "bad",
	cancelled: "idle",
};

const StateOf = ({ job }: { job: Job }) => (
	<Pill tone={tones[job.state] ?? "idle"}>{tCode(`jobs.state_${job.state}`, job.state)}</Pill>
);

export default function Jobs() {
	const { id } = useParams<{ id?: string }>();
	return id ? <OneJob id={id} /> : <AllJobs />;
}

function AllJobs() {
	const jobs = useJobs();
	return (
		<>
			<Head title={t("shell.jobs")} />
			<div className="box overflow-x-auto">
				{jobs.isPending && <Skeleton />}
				{jobs.isError && <Failed error={jobs.error} retry={() => jobs.refetch()} />}
				{jobs.data?.items.length === 0 && (
					<Empty title={t("jobs.none")} hint={t("jobs.none_hint")}>
						<Link href="/accounts/new" className="btn no-underline">
							{t("accounts.add")}
						</Link>
					</Empty>
				)}
				{jobs.data && jobs.data.items.length > 0 && (
					<table className="w-full min-w-[640px]">
						<thead>
							<tr className="border-b border-line bg-bg text-left text-xs text-ink-2">
								<th className="h-8 px-3 font-semibold">{t("jobs.job")}</th>
								<th className="px-3 font-semibold">{t("jobs.state")}</th>
								<th className="w-56 px-3 font-semibold">{t("jobs.progress")}</th>
								<th className="px-3 font-semibold">{t("jobs.started_by")}</th>
							</tr>
						</thead>
						<tbody>
							{jobs.data.items.map((job) => (
								<tr key={job.id} className="border-b border-line last:border-0">
									<td className="px-3 py-2">
										<Link href={`/jobs/${job.id}`}>{jobTitle(job)}</Link>
									</td>
									<td className="px-3">
										<StateOf job={job} />
									</td>
									<td className="px-3 text-xs tabular-nums">
										<Bar
											share={job.progress.total ? job.progress.done / job.progress.total : 1}
											tone={job.progress.failed ? "warn" : "accent"}
											label={job.state}
										/>
										{t("jobs.counts", {
											succeeded: job.progress.succeeded,
											failed: job.progress.failed,
											skipped: job.progress.skipped,
										})}
									</td>
									<td className="px-3 text-ink-2">
										{job.created_by} · <Ago at={job.created_at} />
									</td>
								</tr>
							))}
						</tbody>
					</table>
				)}
			</div>
		</>
	);
}

type Outcome = "all" | "failed" | "skipped" | "succeeded" | "pending";

function OneJob({ id }: { id: string }) {
	const [, navigate] = useLocation();
	const [outcome, setOutcome] = useState<Outcome>("all");
	const [deleting, setDeleting] = useState(false);
	const job = useQuery({
		queryKey: ["job", id],
		queryFn: () => api.get("/admin/api/v1/jobs/{id}", { params: { path: { id } } }),
	});
	const items = useInfiniteQuery({
		queryKey: ["job-items", id, outcome],
		queryFn: ({ pageParam }) =>
			api.get("/admin/api/v1/jobs/{id}/items", {
				params: { path: { id }, query: { after: pageParam, limit: 100, ...(outcome === "all" ? {} : { outcome }) } },
			}),
		initialPageParam: 0,
		getNextPageParam: (page) => page.next ?? undefined,
	});
	const done = job.data?.progress.done;
	useEffect(() => {
		if (job.data?.finished_at) void items.refetch();
	}, [job.data?.finished_at]);
	if (job.isPending) return <Skeleton />;
	if (job.isError) return <Failed error={job.error} retry={() => job.refetch()} />;
	const { progress } = job.data;
	return (
		<>
			<nav aria-label={t("shell.breadcrumb")} className="mb-1 text-xs">
				<Link href="/jobs">{t("shell.jobs")}</Link> / <span className="id">{id.slice(0, 16)}</span>
			</nav>
			<Head title={jobTitle(job.data)} note={<StateOf job={job.data} />}>
				{job.data.kind === "accounts.cleanup_scan" && progress.succeeded > 0 && (
					<button type="button" className="btn btn-danger" onClick={() => setDeleting(true)}>
						{t("jobs.delete_found", { n: progress.succeeded })}
					</button>
				)}
				<Actions job={job.data} onDeleted={() => navigate("/jobs")} />
				{deleting && (
					<DeletePanel scope={{ job: id, outcome: "succeeded" }} onClose={() => setDeleting(false)} onDone={() => undefined} />
				)}
			</Head>
			<div className="box mb-3 px-4 pt-3">
				<JobBar job={job.data} />
				{job.data.state === "interrupted" && (
					<p className="mb-3 text-warn">{t("jobs.interrupted", { done: done ?? 0, total: progress.total })}</p>
				)}
				{job.data.error && <p className="mb-3 text-bad">{job.data.error}</p>}
			</div>
			<Tabs<Outcome>
				label={t("jobs.results")}
				value={outcome}
				onChange={setOutcome}
				tabs={[
					["all", t("jobs.outcome_all", { n: progress.total })],
					["succeeded", t("jobs.outcome_succeeded_n", { n: progress.succeeded })],
					["failed", t("jobs.outcome_failed_n", { n: progress.failed })],
					["skipped", t("jobs.outcome_skipped_n", { n: progress.skipped })],
				]}
			/>
			<div className="box overflow-x-auto">
				{items.isPending && <Skeleton />}
				{items.isError && <Failed error={items.error} retry={() => items.refetch()} />}
				{items.data && (
					<table className="w-full min-w-[560px]">
						<thead>
							<tr className="border-b border-line bg-bg text-left text-xs text-ink-2">
								<th className="h-8 px-3 font-semibold">{t("jobs.subject")}</th>
								<th className="px-3 font-semibold">{t("jobs.outcome")}</th>
								<th className="px-3 font-semibold">{t("jobs.reason")}</th>
								<th className="px-3 text-right font-semibold">{t("jobs.took")}</th>
							</tr>
						</thead>
						<tbody>
							{items.data.pages
								.flatMap((page) => page.items)
								.map((item) => (
									<tr key={item.position} className="h-8 border-b border-line last:border-0">
										<td className="id px-3">
											{item.subject.startsWith("acc_") ? (
												<Link href={`/accounts/${item.subject}`} title={item.subject}>
													{item.label ?? item.subject}
												</Link>
											) : (
												item.subject
											)}
										</td>
										<td className="px-3">{tCode(`jobs.outcome_${item.outcome}`, item.outcome)}</td>
										<td className="px-3 text-ink-2">
											{item.code && tCode(`jobs.code_${item.code}`, tCode(`requests.verdict_${item.code}`, item.code))}
											{item.message && <> · {tCode(`accounts.unreadable_${item.message}`, item.message)}</>}
											{item.upstream_status && <> · {item.upstream_status}</>}
										</td>
										<td className="px-3 text-right tabular-nums">
											{item.duration_ms == null ? "–" : duration(item.duration_ms)}
										</td>
									</tr>
								))}
						</tbody>
					</table>
				)}
				{items.data?.pages[0]?.items.length === 0 && <Empty title={t("jobs.no_items")} />}
				{items.hasNextPage && (
					<button type="button" className="btn m-3" disabled={items.isFetchingNextPage} onClick={() => items.fetchNextPage()}>
						{t("shell.show_more")}
					</button>
				)}
			</div>
		</>
	);
}

function Actions({ job, onDeleted }: { job: Job; onDeleted: () => void }) {
	const act = useJobAction(job);
	const [, navigate] = useLocation();
	return (
		<>
			{job.pausable && (
				<button type="button" className="btn" onClick={() => act.mutate("pause")}>
					{t("jobs.pause")}
				</button>
			)}
			{job.finished_at && job.progress.failed > 0 && (
				<button type="button" className="btn" onClick={() => act.mutate("retry_failed")}>
					{t("jobs.retry_failed", { n: job.progress.failed })}
				</button>
			)}
			{job.finished_at &&
				job.kind === "accounts.delete" &&
				!(job.options as { purge?: boolean }).purge &&
				job.progress.succeeded > 0 && (
					<button type="button" className="btn" onClick={() => void runJob(navigate, "accounts.restore", { job: job.id })}>
						{t("jobs.restore", { n: job.progress.succeeded })}
					</button>
				)}
			{job.finished_at && (
				<button
					type="button"
					className="btn"
					onClick={() =>
						api
							.delete("/admin/api/v1/jobs/{id}", { params: { path: { id: job.id } } })
							.then(onDeleted)
							.catch(toastError)
					}
				>
					{t("jobs.forget")}
				</button>
			)}
		</>
	);
}
