// From an empty gateway to a working client: four steps, ticked by facts.
import { useState } from "react";
import { Link } from "wouter";
import { useJobs, useSummary, useSystem } from "../../api/queries";
import { JobBar } from "../../app/JobBar";
import { t } from "../../i18n";
import { Icon } from "../../ui/icons";
import { Head } from "../../ui/parts";
import { AddForm } from "../accounts/AddAccounts";
import { STATES, stateWord } from "../accounts/state";
import { ConnectForm } from "../keys/Connect";
import { TryOne } from "../playground/TryOne";

export function FirstRun() {
	const summary = useSummary().data;
	const jobs = useJobs().data?.items.filter((job) => job.state === "running") ?? [];
	const keys = useSystem().data?.keys ?? 0;
	const [tried, setTried] = useState(false);
	const total = summary?.total ?? 0;
	const able = (summary?.states.available ?? 0) + (summary?.states.probation ?? 0);
	const done = [total > 0, able > 0, tried, keys > 0 && tried];
	const step = (index: number, title: string, children: React.ReactNode) => (
		<li className="box mb-3 p-4">
			<h2 className="mb-2 flex items-center gap-2 text-base font-semibold">
				<span
					className={`inline-flex size-6 items-center justify-center rounded-full border ${done[index] ? "border-ok bg-ok-soft text-ok" : "border-control text-ink-2"}`}
				>
					{done[index] ? <Icon name="check" /> : index + 1}
				</span>
				{title}
			</h2>
			{children}
		</li>
	);
	return (
		<>
			<Head title={t("overview.start")} note={t("overview.start_done", { n: done.filter(Boolean).length })}>
				{total > 0 && (
					<Link href="/" className="btn no-underline">
						{t("overview.start_leave")}
					</Link>
				)}
			</Head>
			<ol className="max-w-4xl">
				{step(
					0,
					t("overview.step_add"),
					<>
						{jobs.map((job) => (
							<JobBar key={job.id} job={job} />
						))}
						<AddForm onDone={() => history.replaceState(null, "", "/admin/?start=1")} />
					</>,
				)}
				{step(
					1,
					t("overview.step_check"),
					total === 0 ? (
						<p className="text-ink-3">{t("overview.step_check_hint")}</p>
					) : (
						<p className="flex flex-wrap gap-x-4">
							{STATES.filter((name) => summary?.states[name]).map((name) => (
								<Link key={name} href={`/accounts?state=${name}`}>
									{stateWord(name)} {summary?.states[name]}
								</Link>
							))}
						</p>
					),
				)}
				{step(
					2,
					t("overview.step_try"),
					able === 0 ? <p className="text-ink-3">{t("overview.step_try_hint")}</p> : <TryOne onAnswered={() => setTried(true)} />,
				)}
				{step(3, t("overview.step_connect"), <ConnectForm />)}
			</ol>
		</>
	);
}
