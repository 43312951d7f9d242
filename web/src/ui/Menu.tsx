// A menu of actions at a button. What cannot be done now stays in it and says why. It hangs at the body, so that no list cuts it off.
import { type ReactNode, useEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { t } from "../i18n";
import { Icon } from "./icons";

export type Action = { label: string; run: () => void; disabled?: string | false; danger?: boolean };

type Place = { right: number; top?: number; bottom?: number };

export function Menu({ actions, label, children }: { actions: Action[]; label?: string; children?: ReactNode }) {
	const [place, setPlace] = useState<Place | null>(null);
	const button = useRef<HTMLButtonElement>(null);
	const list = useRef<HTMLDivElement>(null);
	const name = label ?? t("shell.more");
	const open = () => {
		const box = button.current?.getBoundingClientRect();
		if (!box) return;
		const right = innerWidth - box.right;
		// Below the button while there is room for it, else above.
		const isLow = box.bottom + 40 * actions.length + 24 > innerHeight;
		setPlace(isLow ? { right, bottom: innerHeight - box.top + 4 } : { right, top: box.bottom + 4 });
	};
	const close = () => {
		setPlace(null);
		button.current?.focus();
	};
	useEffect(() => {
		if (!place) return;
		const away = (event: Event) => {
			if (!list.current?.contains(event.target as Node)) setPlace(null);
		};
		document.addEventListener("mousedown", away);
		addEventListener("resize", away);
		document.addEventListener("scroll", away, true);
		list.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus({ preventScroll: true });
		return () => {
			document.removeEventListener("mousedown", away);
			removeEventListener("resize", away);
			document.removeEventListener("scroll", away, true);
		};
	}, [place]);
	const move = (event: React.KeyboardEvent) => {
		event.stopPropagation();
		const items = [...(list.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
		const at = items.indexOf(document.activeElement as HTMLElement);
		const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
		if (step) items[(at + step + items.length) % items.length]?.focus();
		if (event.key === "Escape" || event.key === "Tab") close();
		if (step || event.key === "Escape") event.preventDefault();
	};
	return (
		<>
			<button
				ref={button}
				type="button"
				className={children ? "btn" : "btn-icon"}
				aria-haspopup="menu"
				aria-expanded={place !== null}
				aria-label={children ? undefined : name}
				title={children ? undefined : name}
				onClick={() => (place ? setPlace(null) : open())}
			>
				{children ?? <Icon name="more" />}
			</button>
			{place &&
				createPortal(
					<div
						ref={list}
						role="menu"
						aria-label={name}
						style={place}
						className="fixed z-20 max-h-[80vh] min-w-44 overflow-auto rounded-block border border-line bg-surface p-1"
						onKeyDown={move}
					>
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
									close();
									action.run();
								}}
							>
								{action.label}
								{action.disabled && <span className="block text-xs text-ink-3">{action.disabled}</span>}
							</button>
						))}
					</div>,
					document.body,
				)}
		</>
	);
}
