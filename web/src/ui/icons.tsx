// One set of icons: 16 px, 1.5 px strokes. State marks differ in shape, not in colour alone.
import type { ReactNode } from "react";

const paths: Record<string, ReactNode> = {
	close: <path d="m4 4 8 8m0-8-8 8" />,
	copy: <path d="M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z" />,
	check: <path d="m3 8.5 3.2 3L13 4.5" />,
	more: <path d="M3.5 8h.01M8 8h.01M12.5 8h.01" strokeWidth="2.4" />,
	refresh: <path d="M13 8a5 5 0 1 1-1.5-3.6M13 2.5v3h-3" />,
	search: <path d="M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9Zm3.3-1.2 3.2 3.2" />,
	left: <path d="M10 3 5 8l5 5" />,
	right: <path d="m6 3 5 5-5 5" />,
	up: <path d="m3.5 10 4.5-5 4.5 5" />,
	down: <path d="m3.5 6 4.5 5 4.5-5" />,
	plus: <path d="M8 3v10M3 8h10" />,
	overview: <path d="M2.5 2.5h4.5v6H2.5zm6.5 0h4.5v3H9zM9 7.5h4.5v6H9zm-6.5 3H7v3H2.5z" />,
	chat: <path d="M2.5 3h11v7.5H7l-3 2.5v-2.5H2.5z" />,
	account: <path d="M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8Zm-5.5 5.5c.5-2.6 2.7-3.8 5.5-3.8s5 1.2 5.5 3.8" />,
	key: <path d="M5.5 12.5a3 3 0 1 1 2.7-4.3h5.3v2.3h-1.7v1.7H9.6V10.5H8.2a3 3 0 0 1-2.7 2ZM5.4 9.5h.1" />,
	model: <path d="M8 2.5 13 5.3v5.4L8 13.5 3 10.7V5.3zM3 5.3 8 8l5-2.7M8 8v5.5" />,
	connect: <path d="M6 10 10 6M7 4.5 8.6 3a3 3 0 0 1 4.3 4.3L11.4 9M9 11.5 7.4 13a3 3 0 0 1-4.3-4.3L4.6 7" />,
	stats: <path d="M3 13.5v-5m5 5v-11m5 11v-7" />,
	list: <path d="M2.5 4h11m-11 4h11m-11 4h7" />,
	tree: <path d="M4 3v10m0-7h4.5V3.5M4 11h4.5v2M8.5 3.5H13M8.5 13H13" />,
	image: <path d="M2.5 3h11v10h-11zm0 7 3-3 3 3 2-2 3 3M10.5 6h.01" />,
	job: <path d="M8 2.5a5.5 5.5 0 1 1-5.5 5.5M8 5v3l2 1.5" />,
	settings: <path d="M2.5 4.5h6m3 0h2m-11 7h2m3 0h6M10 3v3M6 10v3" />,
	system: <path d="M2 8h3l1.5-4 3 8L11 8h3" />,
	sun: (
		<path d="M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM8 1.5v1.2m0 10.6v1.2M1.5 8h1.2m10.6 0h1.2M3.4 3.4l.9.9m7.4 7.4.9.9m0-9.2-.9.9m-7.4 7.4-.9.9" />
	),
	moon: <path d="M13 9.7A5.5 5.5 0 0 1 6.3 3a5.5 5.5 0 1 0 6.7 6.7Z" />,
	send: <path d="M2.5 8h9m-4-4.5L12 8l-4.5 4.5" />,
	stop: <path d="M4 4h8v8H4z" />,
	available: <circle cx="8" cy="8" r="4" fill="currentColor" stroke="none" />,
	partial: (
		<>
			<circle cx="8" cy="8" r="4" />
			<path d="M8 4a4 4 0 0 1 0 8z" fill="currentColor" stroke="none" />
		</>
	),
	exhausted: <circle cx="8" cy="8" r="4" />,
	cooling: (
		<>
			<circle cx="8" cy="8" r="4.5" />
			<path d="M8 8V3.5A4.5 4.5 0 0 1 12.5 8z" fill="currentColor" stroke="none" />
		</>
	),
	probation: <path d="m8 3.5 4.5 4.5L8 12.5 3.5 8z" />,
	invalid: <path d="m4.5 4.5 7 7m0-7-7 7" strokeWidth="2" />,
	disabled: <path d="M4 8h8" strokeWidth="3" />,
	warning: <path d="M8 2.5 14 13H2zM8 6.5V9m0 2v.01" />,
};

export type IconName = keyof typeof paths;

export function Icon({ name, className = "" }: { name: string; className?: string }) {
	return (
		<svg
			viewBox="0 0 16 16"
			className={`size-4 shrink-0 ${className}`}
			fill="none"
			stroke="currentColor"
			strokeWidth="1.5"
			strokeLinecap="round"
			strokeLinejoin="round"
			aria-hidden="true"
		>
			{paths[name]}
		</svg>
	);
}
