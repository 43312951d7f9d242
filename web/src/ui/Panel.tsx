// A panel at the side, or in the middle, over the page: the browser's own dialog carries focus, Esc and what lies behind.
import { type ReactNode, useEffect, useId, useRef } from "react";
import { t } from "../i18n";
import { Icon } from "./icons";

type Props = {
	title: ReactNode;
	onClose: () => void;
	children: ReactNode;
	footer?: ReactNode;
	/** In the middle, for a question. */
	centred?: boolean;
	wide?: boolean;
	/** It stays until what it asks for is done. */
	fixed?: boolean;
	/** Asked before it closes by Esc or the cross. */
	mayClose?: () => boolean;
};

/** Where typing begins. */
const FIRST = "input:not([type=checkbox]):not([type=radio]):not([type=hidden]):not([disabled]), textarea, select";

export function Panel({ title, onClose, children, footer, centred, wide, fixed, mayClose }: Props) {
	const dialog = useRef<HTMLDialogElement>(null);
	const cross = useRef<HTMLButtonElement>(null);
	const first = useRef<HTMLDivElement>(null);
	const isTouched = useRef(false);
	const id = useId();
	useEffect(() => {
		const before = document.activeElement as HTMLElement | null;
		dialog.current?.showModal();
		// The browser would begin with the cross.
		const wanted = dialog.current?.querySelector<HTMLElement>("[data-first]") ?? first.current?.querySelector<HTMLElement>(FIRST);
		if (document.activeElement === cross.current) wanted?.focus();
		return () => before?.focus?.();
	}, []);
	const close = () => {
		if (!fixed && (mayClose?.() ?? true)) onClose();
	};
	const place = centred
		? `m-auto max-h-[86vh] ${wide ? "w-[min(720px,94vw)]" : "w-[min(460px,94vw)]"} rounded-block`
		: `mt-0 mr-0 mb-0 ml-auto h-dvh max-h-dvh max-w-full ${wide ? "w-[min(880px,100vw)]" : "w-[min(560px,100vw)]"}`;
	return (
		<dialog
			ref={dialog}
			aria-labelledby={id}
			className={`flex flex-col border border-line bg-surface p-0 text-ink ${place}`}
			onCancel={(event) => {
				event.preventDefault();
				close();
			}}
			onKeyDown={(event) => event.stopPropagation()}
			onInput={() => {
				isTouched.current = true;
			}}
			// What was typed is not lost by a click beside it.
			onMouseDown={(event) => event.target === dialog.current && !centred && !isTouched.current && close()}
		>
			<header className="flex items-center gap-2 border-b border-line px-4 py-2.5">
				<h2 id={id} className="min-w-0 flex-1 truncate text-base font-semibold">
					{title}
				</h2>
				{!fixed && (
					<button
						ref={cross}
						type="button"
						className="btn-icon"
						aria-label={t("shell.close")}
						title={t("shell.close")}
						onClick={close}
					>
						<Icon name="close" />
					</button>
				)}
			</header>
			<div ref={first} className="min-h-0 flex-1 overflow-auto px-4 py-4">
				{children}
			</div>
			{footer && (
				<footer className="flex flex-wrap items-center justify-end gap-2 border-t border-line px-4 py-2.5">{footer}</footer>
			)}
		</dialog>
	);
}
