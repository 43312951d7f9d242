// Images that answers made and the gateway keeps: which, for whom, how much room they take, and whether their link works.
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { api, type Schema } from "../../api/client";
import { number, t, tCode } from "../../i18n";
import { Copy } from "../../ui/Copy";
import { Panel } from "../../ui/Panel";
import { Bar, bytes, duration, Empty, Facts, Failed, Head, Skeleton } from "../../ui/parts";
import { Ago } from "../../ui/Time";
import { sentenceOf, toast, toastError } from "../../ui/toasts";
import { DeleteMatching } from "../jobs/DeleteMatching";

type Image = Schema["ImageBody"];
const WINDOW = 60;

/** The filter of images that were made so many days ago or earlier; 0: of all. The hour is enough, so that it stays the same while one reads. */
function olderThan(days: number): Record<string, string> {
	if (!days) return {};
	const hour = 3_600_000;
	return { until: new Date(Math.floor((Date.now() - days * 24 * hour) / hour) * hour).toISOString() };
}

export default function Images() {
	const [open, setOpen] = useState<Image | null>(null);
	const [older, setOlder] = useState<number | null>(null);
	const usage = useQuery({ queryKey: ["images", "usage"], queryFn: () => api.get("/admin/api/v1/images/usage") });
	const list = useInfiniteQuery({
		queryKey: ["images", "list"],
		queryFn: ({ pageParam }) =>
			api.get("/admin/api/v1/images", { params: { query: { offset: pageParam, limit: WINDOW } } }) as Promise<{
				items: Image[];
				total: number;
			}>,
		initialPageParam: 0,
		getNextPageParam: (page, pages) => (page.items.length === WINDOW ? pages.length * WINDOW : undefined),
	});
	const items = list.data?.pages.flatMap((page) => page.items) ?? [];
	return (
		<>
			<Head title={t("shell.images")} note={usage.data && number(usage.data.count)}>
				{items.length > 0 && (
					<select
						className="input w-auto"
						aria-label={t("images.clean_up")}
						value=""
						onChange={(event) => setOlder(Number(event.target.value))}
					>
						<option value="">{t("images.clean_up")}</option>
						<option value="0">{t("images.all")}</option>
						{[7, 30, 90].map((days) => (
							<option key={days} value={days}>
								{t("images.older", { n: days })}
							</option>
						))}
					</select>
				)}
			</Head>
			{older !== null && (
				<DeleteMatching kind="images.delete" scope={{ filter: olderThan(older) }} onClose={() => setOlder(null)} />
			)}
			{usage.data && (
				<div className="box mb-3 px-4 py-3">
					<p className="mb-1.5 tabular-nums">
						{t("images.usage", { used: bytes(usage.data.bytes), limit: bytes(usage.data.limit_bytes) })} ·{" "}
						<Link href="/settings#max_image_cache_mb" className="underline">
							max_image_cache_mb
						</Link>
					</p>
					<Bar
						share={usage.data.limit_bytes ? usage.data.bytes / usage.data.limit_bytes : 1}
						label={t("images.usage", { used: bytes(usage.data.bytes), limit: bytes(usage.data.limit_bytes) })}
					/>
				</div>
			)}
			{list.isPending && <Skeleton />}
			{list.isError && <Failed error={list.error} retry={() => list.refetch()} />}
			{list.data && !items.length && (
				<div className="box">
					<Empty title={t("images.none")} hint={t("images.none_hint")} />
				</div>
			)}
			<ul className="grid grid-cols-[repeat(auto-fill,minmax(150px,1fr))] gap-3">
				{items.map((image) => (
					<li key={image.id}>
						<button type="button" className="box block w-full overflow-hidden text-left" onClick={() => setOpen(image)}>
							<img
								src={image.path}
								alt={t("images.of", { model: image.model ?? "–" })}
								loading="lazy"
								decoding="async"
								className="aspect-square w-full bg-sunken object-cover"
							/>
							<span className="block truncate px-2 pt-1 text-xs text-ink-2">{image.model ?? "–"}</span>
							<span className="block px-2 pb-1 text-xs text-ink-3">
								{bytes(image.bytes)} · <Ago at={image.created_at} />
							</span>
						</button>
					</li>
				))}
			</ul>
			{list.hasNextPage && (
				<button type="button" className="btn mt-3" onClick={() => list.fetchNextPage()}>
					{t("shell.show_more")}
				</button>
			)}
			{open && <Viewer image={open} onClose={() => setOpen(null)} />}
		</>
	);
}

function Viewer({ image, onClose }: { image: Image; onClose: () => void }) {
	const queries = useQueryClient();
	const address = image.url ?? `${location.origin}${image.path}`;
	const test = useMutation({
		mutationFn: () =>
			api.post("/admin/api/v1/images/{id}/actions/test_link", { params: { path: { id: image.id } } }) as Promise<
				Schema["LinkTest"]
			>,
	});
	const remove = useMutation({
		mutationFn: () => api.delete("/admin/api/v1/images/{id}", { params: { path: { id: image.id } } }),
		onSuccess: () => {
			toast(t("images.deleted"));
			void queries.invalidateQueries({ queryKey: ["images"] });
			onClose();
		},
		onError: toastError,
	});
	return (
		<Panel
			wide
			title={image.model ?? t("shell.images")}
			onClose={onClose}
			footer={
				<>
					<button type="button" className="btn btn-danger mr-auto" disabled={remove.isPending} onClick={() => remove.mutate()}>
						{t("shell.delete")}
					</button>
					<button type="button" className="btn" disabled={test.isPending} onClick={() => test.mutate()}>
						{t("images.test")}
					</button>
					<a className="btn no-underline" href={image.path} download>
						{t("images.download")}
					</a>
					<Copy text={address}>{t("images.copy_link")}</Copy>
				</>
			}
		>
			<img
				src={image.path}
				alt={t("images.of", { model: image.model ?? "–" })}
				className="mx-auto mb-4 max-h-[60vh] rounded-control"
			/>
			<div aria-live="polite" className="mb-3">
				{test.isError && <p className="text-bad">{sentenceOf(test.error)}</p>}
				{test.data && (
					<p className={test.data.ok ? "text-ok" : "text-bad"}>
						{tCode(`images.outcome_${test.data.outcome}`, test.data.message ?? test.data.outcome)}
						{test.data.status ? ` · ${number(test.data.status)}` : ""}
						{test.data.latency_ms ? ` · ${duration(test.data.latency_ms)}` : ""}
						{test.data.warnings.map((warning) => ` · ${tCode(`images.warning_${warning}`, warning)}`).join("")}
					</p>
				)}
			</div>
			<Facts
				rows={[
					[
						t("images.link"),
						<span key="a" className="id break-all">
							{address}
						</span>,
					],
					[
						t("requests.request"),
						<Link key="r" href={`/requests?open=${image.request_id}`}>
							{image.request_id}
						</Link>,
					],
					[
						t("requests.account"),
						<Link key="o" href={`/accounts/${image.account_id}`}>
							{image.account_id}
						</Link>,
					],
					[t("images.type"), image.media_type ?? "–"],
					[t("requests.bytes"), bytes(image.bytes)],
					[t("images.hits"), number(image.hits)],
					[t("images.created"), <Ago key="c" at={image.created_at} />],
				]}
			/>
		</Panel>
	);
}
