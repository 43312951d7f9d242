// A menu of actions at a button. What cannot be done now stays in it and says why.
import { type ReactNode, useEffect, useRef, useState } from "react";
import { t } from "../i18n";
import { Icon } from "./icons";

export type Action = { label: string; run: () => void; disabled?: string | false; danger?: boolean };

export function Menu({ actions, label, children }: { actions: Action[]; label?: string; children?: ReactNode }) {
	const [open, setOpen] = useState(false);
	const box = useRef<HTMLDivElement>(null);
	useEffect(() => {
		if (!open) return;
		const away = (event: MouseEvent) => !box.current?.contains(event.target as Node) && setOpen(false);
		document.addEventListener("mousedown", away);
		box.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
		return () => document.removeEventListener("mousedown", away);
	}, [open]);
	const move = (event: React.KeyboardEvent) => {
		const items = [...(box.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
		const at = items.indexOf(document.activeElement as HTMLElement);
		const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
		if (step) items[(at + step + items.length) % items.length]?.focus();
		if (event.key === "Escape") {
			setOpen(false);
			box.current?.querySelector("button")?.focus();
		}
		if (step || event.key === "Escape") {
			event.preventDefault();
			event.stopPropagation();
		}
	};
	return (
		<div ref={box} className="relative" onKeyDown={open ? move : undefined}>
			<button
				type="button"
				className={children ? "btn" : "btn-icon"}
				aria-haspopup="menu"
				aria-expanded={open}
				aria-label={children ? undefined : (label ?? t("shell.more"))}
				title={children ? undefined : (label ?? t("shell.more"))}
				onClick={() => setOpen(!open)}
			>
				{children ?? <Icon name="more" />}
			</button>
			{open && (
				<div role="menu" className="absolute right-0 z-10 mt-1 min-w-44 rounded-block border border-line bg-surface p-1">
					{actions.map((action) => (
						<button
							key={action.label}
							type="button"
							role="menuitem"
							aria-disabled={Boolean(action.disabled)}
							title={action.disabled || undefined}
							className={`block w-full rounded-control px-2.5 py-1.5 text-left hover:bg-sunken aria-disabled:opacity-60 ${action.danger ? "text-bad" : ""}`}
							onClick={() => {
								if (action.disabled) return;
								setOpen(false);
								action.run();
							}}
						>
							{action.label}
							{action.disabled && <span className="block text-xs text-ink-3">{action.disabled}</span>}
						</button>
					))}
				</div>
			)}
		</div>
	);
}
