// A state in a word, with a mark of its own shape.
import type { ReactNode } from "react";
import { Icon } from "./icons";

export type Tone = "ok" | "warn" | "bad" | "info" | "idle";

const tones: Record<Tone, string> = {
	ok: "bg-ok-soft text-ok",
	warn: "bg-warn-soft text-warn",
	bad: "bg-bad-soft text-bad",
	info: "bg-info-soft text-info",
	idle: "bg-idle-soft text-idle",
};

export function Pill({ tone, icon, children, title }: { tone: Tone; icon?: string; children: ReactNode; title?: string }) {
	return (
		<span className={`pill ${tones[tone]}`} title={title}>
			{icon && <Icon name={icon} className="-ml-0.5 size-3.5" />}
			{children}
		</span>
	);
}
