// The line at the top: where one is, how the gateway is, what runs, whether this is live.
import { useSyncExternalStore } from "react";
import { Link } from "wouter";
import { api } from "../api/client";
import { live, onLive, reconnect } from "../api/events";
import { useAttention, useJobs, useNow, useSession, useSummary } from "../api/queries";
import { number, t } from "../i18n";
import { currentTaste, onTaste, setTaste, type Theme } from "../taste";
import { attentionWords } from "../ui/database";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/Menu";
import { absolute } from "../ui/Time";
import { JobBar } from "./JobBar";
import { target } from "./targets";

export function TopBar({ title, onJump }: { title: string; onJump: () => void }) {
	return (
		<header className="flex h-12 shrink-0 items-center gap-1 border-b border-line bg-surface px-3 sm:px-4">
			<span className="mr-2 hidden font-semibold whitespace-nowrap xl:inline">{title}</span>
			<HealthLine />
			<div className="ml-auto flex items-center gap-0.5">
				<button
					type="button"
					className="btn-icon"
					aria-label={t("shell.jump")}
					title={`${t("shell.jump")} (Ctrl K)`}
					onClick={onJump}
				>
					<Icon name="search" />
				</button>
				<JobsTray />
				<LiveDot />
				<ThemeButton />
				<button
					type="button"
					className="btn-icon max-sm:hidden"
					lang={currentTaste().language === "en" ? "zh-CN" : "en"}
					aria-label={currentTaste().language === "en" ? "切换为中文" : "Switch to English"}
					title={currentTaste().language === "en" ? "中文" : "English"}
					onClick={() => setTaste({ language: currentTaste().language === "en" ? "zh-CN" : "en" })}
				>
					{currentTaste().language === "en" ? "中" : "En"}
				</button>
				<AdminMenu />
			</div>
		</header>
	);
}

/** One sentence, from the server's own rules; it leads to its cause. */
function HealthLine() {
	const summary = useSummary().data;
	const now = useNow().data;
	const attention = useAttention();
	const worst = attention.data?.items[0];
	if (attention.isError && !attention.data) {
		return (
			<span role="status" className="flex min-w-0 items-center gap-1.5 text-bad">
				<Icon name="invalid" />
				<span className="truncate">{t("door.unreachable")}</span>
			</span>
		);
	}
	const isDown = worst?.severity === "error";
	const isDegraded = worst?.severity === "warning";
	const able = summary ? (summary.states.available ?? 0) + (summary.states.probation ?? 0) : 0;
	const words = isDown
		? t("shell.health_down")
		: isDegraded
			? t("shell.health_degraded")
			: summary
				? t("shell.health_ok", { accounts: able })
				: t("shell.health_unknown");
	const rate = now?.success_rate_15m;
	const detail =
		worst && (isDown || isDegraded)
			? attentionWords(worst)
			: rate === null || rate === undefined
				? ""
				: t("shell.health_rate", { rate: number(rate, { style: "percent", maximumFractionDigits: 1 }) });
	return (
		<Link
			href={worst && (isDown || isDegraded) ? target(worst.target) : "/"}
			title={t("shell.health_rule")}
			className={`flex min-w-0 items-center gap-1.5 no-underline ${isDown ? "text-bad" : isDegraded ? "text-warn" : summary ? "text-ok" : "text-ink-3"}`}
		>
			<Icon name={isDown ? "invalid" : isDegraded ? "warning" : summary ? "available" : "exhausted"} />
			<span className="truncate">
				{words}
				{detail && <span className="max-md:hidden"> · {detail}</span>}
			</span>
		</Link>
	);
}

function JobsTray() {
	const jobs = useJobs().data?.items ?? [];
	const running = jobs.filter((job) => ["running", "pausing", "cancelling"].includes(job.state));
	const waiting = jobs.filter((job) => ["paused", "interrupted"].includes(job.state));
	const shown = [...running, ...waiting].slice(0, 4);
	if (!shown.length) return null;
	return (
		<details className="relative">
			<summary
				className="btn-icon w-auto gap-1 px-2 list-none"
				aria-label={t("shell.jobs_running", { n: running.length })}
				title={t("shell.jobs_running", { n: running.length })}
			>
				<Icon name="job" className={running.length ? "text-info" : "text-warn"} />
				<span className="tabular-nums">{number(shown.length)}</span>
			</summary>
			<div className="absolute right-0 z-10 mt-1 w-[min(380px,90vw)] rounded-block border border-line bg-surface p-3">
				{shown.map((job) => (
					<JobBar key={job.id} job={job} />
				))}
				<Link href="/jobs">{t("shell.all_jobs")}</Link>
			</div>
		</details>
	);
}

function LiveDot() {
	const state = useSyncExternalStore(onLive, () => live().state);
	const colours = { live: "text-ok", connecting: "text-ink-3", retrying: "text-warn", polling: "text-warn" };
	const { updatedAt } = live();
	const words = t(`shell.live_${state}` as "shell.live_live");
	return (
		<button
			type="button"
			className="btn-icon w-auto gap-1 px-1.5"
			onClick={reconnect}
			title={updatedAt ? `${words} · ${t("shell.last_update", { at: absolute(new Date(updatedAt).toISOString()) })}` : words}
		>
			<Icon name={state === "live" ? "available" : state === "polling" ? "partial" : "exhausted"} className={colours[state]} />
			<span className="text-xs max-lg:sr-only">{words}</span>
		</button>
	);
}

function ThemeButton() {
	const theme = useSyncExternalStore(onTaste, () => currentTaste().theme);
	const order: Theme[] = ["system", "light", "dark"];
	const next = order[(order.indexOf(theme) + 1) % order.length] as Theme;
	const words = t("shell.theme", { theme: t(`shell.theme_${theme}` as "shell.theme_dark") });
	return (
		<button
			type="button"
			className="btn-icon max-sm:hidden"
			aria-label={words}
			title={words}
			onClick={() => setTaste({ theme: next })}
		>
			<Icon name={theme === "dark" ? "moon" : theme === "light" ? "sun" : "partial"} />
		</button>
	);
}

function AdminMenu() {
	const session = useSession().data;
	return (
		<Menu
			label={session?.username ?? t("shell.account_menu")}
			actions={[
				{
					label: t("shell.theme", { theme: t(`shell.theme_${currentTaste().theme}` as "shell.theme_dark") }),
					run: () => setTaste({ theme: currentTaste().theme === "dark" ? "light" : "dark" }),
				},
				{
					label: currentTaste().language === "en" ? "中文" : "English",
					run: () => setTaste({ language: currentTaste().language === "en" ? "zh-CN" : "en" }),
				},
				{
					label: t(currentTaste().singleKeys ? "shell.keys_off" : "shell.keys_on"),
					run: () => setTaste({ singleKeys: !currentTaste().singleKeys }),
				},
				{
					label: t("shell.sign_out"),
					run: async () => {
						await api.delete("/admin/api/v1/session").catch(() => undefined);
						location.assign("/admin/");
					},
				},
			]}
		/>
	);
}
