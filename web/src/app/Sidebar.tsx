// The places: at the side, or at the bottom of a narrow screen.
import { useState, useSyncExternalStore } from "react";
import { Link, useLocation } from "wouter";
import { useJobs, useSummary, useSystem } from "../api/queries";
import { number, t } from "../i18n";
import { currentTaste, onTaste } from "../taste";
import { Icon } from "../ui/icons";
import { Panel } from "../ui/Panel";
import { groups, placeOf, places } from "./nav";

function useCounts(): Record<string, number | undefined> {
	const accounts = useSummary().data?.total;
	const running = useJobs().data?.items.filter((job) => job.state === "running").length;
	const keys = useSystem().data?.keys;
	return { "/accounts": accounts, "/keys": keys, "/jobs": running || undefined };
}

export function Sidebar() {
	const [path] = useLocation();
	const counts = useCounts();
	const isNarrow = useSyncExternalStore(onTaste, () => currentTaste().sidebar) === "narrow";
	const here = placeOf(path)?.path;
	return (
		<nav
			aria-label={t("shell.places")}
			className={`shrink-0 overflow-y-auto border-r border-line bg-surface px-2 py-3 max-sm:hidden ${isNarrow ? "w-14" : "w-14 lg:w-52"}`}
		>
			<div className={`mb-3 flex h-6 items-center gap-2 px-2 text-base font-semibold ${isNarrow ? "" : ""}`}>
				<img src="/admin/icon.svg" alt="" className="size-5" />
				<span className={isNarrow ? "hidden" : "hidden lg:inline"}>Grok2API</span>
			</div>
			{groups.map((group) => (
				<div key={group.name ?? "top"} className="mb-3">
					{group.name && (
						<h2 className={`px-2 pb-1 text-xs font-semibold text-ink-3 ${isNarrow ? "hidden" : "hidden lg:block"}`}>
							{t(group.name)}
						</h2>
					)}
					<ul>
						{group.places.map((place) => (
							<li key={place.path}>
								<Link
									href={place.path}
									aria-current={place.path === here ? "page" : undefined}
									title={t(place.name)}
									className={`flex h-8 items-center gap-2.5 rounded-control px-2.5 no-underline ${place.path === here ? "bg-accent-soft font-semibold text-accent" : "text-ink hover:bg-sunken"}`}
								>
									<Icon name={place.icon} />
									<span className={`flex-1 ${isNarrow ? "sr-only" : "sr-only lg:not-sr-only"}`}>{t(place.name)}</span>
									{counts[place.path] !== undefined && (
										<span
											className={`text-xs tabular-nums ${place.path === here ? "text-accent" : "text-ink-3"} ${isNarrow ? "hidden" : "hidden lg:inline"}`}
										>
											{number(counts[place.path] as number)}
										</span>
									)}
								</Link>
							</li>
						))}
					</ul>
				</div>
			))}
		</nav>
	);
}

const BOTTOM = ["/", "/accounts", "/requests", "/playground"];

export function BottomBar() {
	const [path, navigate] = useLocation();
	const [more, setMore] = useState(false);
	const here = placeOf(path)?.path;
	const item = "flex flex-1 flex-col items-center gap-0.5 py-1.5 text-xs no-underline";
	return (
		<nav aria-label={t("shell.places")} className="fixed inset-x-0 bottom-0 z-10 flex border-t border-line bg-surface sm:hidden">
			{BOTTOM.map((one) => places.find((place) => place.path === one)).map(
				(place) =>
					place && (
						<Link
							key={place.path}
							href={place.path}
							aria-current={place.path === here ? "page" : undefined}
							className={`${item} ${place.path === here ? "font-semibold text-accent" : "text-ink-2"}`}
						>
							<Icon name={place.icon} />
							{t(place.name)}
						</Link>
					),
			)}
			<button
				type="button"
				className={`${item} ${here && BOTTOM.includes(here) ? "text-ink-2" : "font-semibold text-accent"}`}
				onClick={() => setMore(true)}
			>
				<Icon name="more" />
				{t("shell.more")}
			</button>
			{more && (
				<Panel title={t("shell.places")} onClose={() => setMore(false)}>
					<ul>
						{places.map((place) => (
							<li key={place.path}>
								<button
									type="button"
									className="flex h-11 w-full items-center gap-3 rounded-control px-2 text-left hover:bg-sunken"
									onClick={() => {
										setMore(false);
										navigate(place.path);
									}}
								>
									<Icon name={place.icon} />
									{t(place.name)}
								</button>
							</li>
						))}
					</ul>
				</Panel>
			)}
		</nav>
	);
}
