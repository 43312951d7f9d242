// Jump to: places, accounts, keys, requests by id, conversations, settings, in one box.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { api } from "../api/client";
import { t, tCode } from "../i18n";
import { Panel } from "../ui/Panel";
import { places } from "./nav";

type Hit = { group: string; title: string; detail: string; path: string };

function pathOf(kind: string, id: string): string {
	if (kind === "account") return `/accounts/${id}`;
	if (kind === "key") return `/keys?open=${id}`;
	if (kind === "request") return `/requests?open=${id}`;
	if (kind === "conversation") return `/conversations/${id}`;
	return `/settings#${id}`;
}

/** States in the reader's language; the rest is names and figures. */
function inWords(detail: string): string {
	const word = (part: string) => tCode(`accounts.state_${part}`, tCode(`keys.state_${part}`, part));
	return detail.split(" · ").map(word).join(" · ");
}

export function JumpTo({ onClose }: { onClose: () => void }) {
	const [words, setWords] = useState("");
	const [asked, setAsked] = useState("");
	const [at, setAt] = useState(0);
	const [, navigate] = useLocation();
	useEffect(() => {
		const wait = setTimeout(() => setAsked(words.trim()), 120);
		return () => clearTimeout(wait);
	}, [words]);
	// What looks like a token goes in a body, not into an address that is logged.
	const isSecret = asked.startsWith("eyJ") || asked.includes("sso=");
	const found = useQuery({
		queryKey: ["search", asked],
		queryFn: () => api.get("/admin/api/v1/search", { params: { query: { q: asked } } }),
		enabled: asked.length >= 2 && !isSecret,
		placeholderData: keepPreviousData,
	});
	const wanted = words.trim().toLowerCase();
	const hits: Hit[] = places
		.filter((place) => !wanted || t(place.name).toLowerCase().includes(wanted) || place.path.includes(wanted))
		.map((place) => ({ group: t("shell.places"), title: t(place.name), detail: `g ${place.key}`, path: place.path }));
	if (asked.length >= 2 && found.data) {
		for (const group of found.data.groups) {
			for (const item of group.items) {
				hits.push({
					group: tCode(`shell.kind_${group.kind}`, group.kind),
					title: item.title,
					detail: inWords(item.detail),
					path: pathOf(group.kind, item.id),
				});
			}
		}
	}
	const chosen = hits[Math.min(at, hits.length - 1)];
	const go = (hit: Hit | undefined) => {
		if (!hit) return;
		onClose();
		navigate(hit.path);
	};
	return (
		<Panel title={t("shell.jump")} onClose={onClose} centred wide>
			<input
				type="search"
				className="input"
				aria-label={t("shell.jump")}
				placeholder={t("shell.jump_hint")}
				autoFocus
				value={words}
				role="combobox"
				aria-expanded="true"
				aria-controls="jump-hits"
				aria-activedescendant={chosen ? `jump-${hits.indexOf(chosen)}` : undefined}
				onChange={(event) => {
					setWords(event.target.value);
					setAt(0);
				}}
				onKeyDown={(event) => {
					if (event.nativeEvent.isComposing) return;
					if (event.key === "ArrowDown") setAt(Math.min(at + 1, hits.length - 1));
					else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
					else if (event.key === "Enter") go(chosen);
					else return;
					event.preventDefault();
				}}
			/>
			<div id="jump-hits" role="listbox" aria-label={t("shell.jump")} className="mt-2 min-h-64">
				{hits.map((hit, index) => (
					<div key={`${hit.path}${index}`}>
						{hit.group !== hits[index - 1]?.group && <div className="px-2 pt-2 pb-0.5 text-xs text-ink-3">{hit.group}</div>}
						<div
							id={`jump-${index}`}
							role="option"
							tabIndex={-1}
							aria-selected={hit === chosen}
							className={`flex h-8 cursor-pointer items-center gap-3 rounded-control px-2 ${hit === chosen ? "bg-accent-soft" : ""}`}
							onMouseMove={() => setAt(index)}
							onClick={() => go(hit)}
							onKeyDown={() => undefined}
						>
							<span className="truncate">{hit.title}</span>
							<span className="id ml-auto truncate">{hit.detail}</span>
						</div>
					</div>
				))}
				{!hits.length && <p className="px-2 py-4 text-ink-3">{t("shell.nothing_found")}</p>}
			</div>
		</Panel>
	);
}
