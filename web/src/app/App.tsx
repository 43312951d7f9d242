// The shell around every page, and which page is shown.
import { Suspense, useEffect, useState } from "react";
import { Route, Router, Switch, useLocation } from "wouter";
import { onSessionEnd } from "../api/client";
import { t, useLanguage } from "../i18n";
import { Skeleton } from "../ui/parts";
import { Toasts } from "../ui/toasts";
import { Help } from "./Help";
import { JumpTo } from "./JumpTo";
import { useShortcuts } from "./keyboard";
import { placeOf, places } from "./nav";
import {
	Account,
	Accounts,
	Connect,
	Conversations,
	fetchLater,
	Images,
	Jobs,
	Keys,
	Models,
	Overview,
	Playground,
	Requests,
	Settings,
	Stats,
	System,
} from "./pages";
import { SessionEnd } from "./SessionEnd";
import { BottomBar, Sidebar } from "./Sidebar";
import { TopBar } from "./TopBar";

export function App() {
	return (
		<Router base="/admin">
			<Shell />
		</Router>
	);
}

function Shell() {
	const language = useLanguage();
	const [path, navigate] = useLocation();
	const [jump, setJump] = useState(false);
	const [help, setHelp] = useState(false);
	const [signedOut, setSignedOut] = useState(false);
	const place = placeOf(path);

	useEffect(() => onSessionEnd(() => setSignedOut(true)), []);
	useEffect(fetchLater, []);
	useEffect(() => {
		document.title = `${place ? t(place.name) : ""} · Grok2API`;
		// The new page is announced by its heading; what was typed into keeps the focus.
		if (document.activeElement === document.body || document.activeElement?.closest("nav")) {
			document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
		}
	}, [place?.path, language]);
	useShortcuts({
		go: (key) => {
			const found = places.find((one) => one.key === key);
			if (found) navigate(found.path);
		},
		jump: () => setJump(true),
		help: () => setHelp(true),
	});

	return (
		<div className="flex h-full">
			<a href="#content" className="sr-only focus:not-sr-only focus:absolute focus:z-30 focus:m-2 focus:bg-surface focus:p-2">
				{t("shell.skip")}
			</a>
			<Sidebar />
			<div className="flex min-w-0 flex-1 flex-col">
				<TopBar title={place ? t(place.name) : ""} onJump={() => setJump(true)} />
				<main id="content" className="min-h-0 flex-1 overflow-auto p-3 sm:p-4 lg:p-6 max-sm:pb-16">
					<Suspense fallback={<Skeleton />}>
						<Switch>
							<Route path="/" component={Overview} />
							<Route path="/playground" component={Playground} />
							<Route path="/accounts" component={Accounts} />
							<Route path="/accounts/new" component={Accounts} />
							<Route path="/accounts/:id" component={Account} />
							<Route path="/keys" component={Keys} />
							<Route path="/connect" component={Connect} />
							<Route path="/models" component={Models} />
							<Route path="/stats" component={Stats} />
							<Route path="/requests" component={Requests} />
							<Route path="/conversations/:id?" component={Conversations} />
							<Route path="/images" component={Images} />
							<Route path="/jobs/:id?" component={Jobs} />
							<Route path="/settings/:group?" component={Settings} />
							<Route path="/system" component={System} />
							<Route>
								<h1 tabIndex={-1} className="text-lg font-semibold">
									{t("shell.not_found")}
								</h1>
							</Route>
						</Switch>
					</Suspense>
				</main>
				<BottomBar />
			</div>
			{jump && <JumpTo onClose={() => setJump(false)} />}
			{help && <Help onClose={() => setHelp(false)} />}
			{signedOut && <SessionEnd onBack={() => setSignedOut(false)} />}
			<Toasts />
		</div>
	);
}
