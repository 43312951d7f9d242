// Times: relative up to a day, the absolute one on hover and focus. Countdowns run by the server's clock.
import { useEffect, useState } from "react";
import { serverNow } from "../api/client";
import { currentLanguage, t } from "../i18n";

const listeners = new Set<() => void>();
setInterval(() => {
	if (!document.hidden) for (const listener of listeners) listener();
}, 1_000);

/** Renders every second. */
export function useTick() {
	const [, tick] = useState(0);
	useEffect(() => {
		const listener = () => tick((count) => count + 1);
		listeners.add(listener);
		return () => {
			listeners.delete(listener);
		};
	}, []);
}

/** A length in words: the largest unit, or two below a minute's worth of hours. */
export function length(milliseconds: number): string {
	const seconds = Math.max(0, Math.round(milliseconds / 1_000));
	if (seconds < 60) return t("shell.seconds", { n: seconds });
	const minutes = Math.floor(seconds / 60);
	if (minutes < 60) return t("shell.minutes", { n: minutes });
	const hours = Math.floor(minutes / 60);
	if (hours < 48) return t("shell.hours", { n: hours });
	return t("shell.days", { n: Math.floor(hours / 24) });
}

export function absolute(iso: string): string {
	return new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium", timeStyle: "medium" }).format(new Date(iso));
}

export function clock(iso: string): string {
	return new Intl.DateTimeFormat(currentLanguage(), {
		hour: "2-digit",
		minute: "2-digit",
		second: "2-digit",
		hour12: false,
	}).format(new Date(iso));
}

/** How long ago, or when. */
export function Ago({ at, empty }: { at: string | null | undefined; empty?: string }) {
	useTick();
	if (!at) return <span className="text-ink-3">{empty ?? "–"}</span>;
	const since = serverNow() - Date.parse(at);
	const text =
		Math.abs(since) < 5_000
			? t("shell.now")
			: since < 0
				? t("shell.in", { length: length(-since) })
				: since < 86_400_000
					? t("shell.ago", { length: length(since) })
					: new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "medium" }).format(new Date(at));
	return (
		<time dateTime={at} title={absolute(at)}>
			{text}
		</time>
	);
}

/** How long it still takes. */
export function Left({ until }: { until: string }) {
	useTick();
	return (
		<time dateTime={until} title={absolute(until)}>
			{length(Date.parse(until) - serverNow())}
		</time>
	);
}
