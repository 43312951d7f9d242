import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Served by the gateway under /admin/; `npm run dev` asks a gateway on its usual port.
export default defineConfig({
	base: "/admin/",
	plugins: [react(), tailwindcss()],
	build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, reportCompressedSize: false },
	server: {
		proxy: { "/admin/api": "http://127.0.0.1:8000", "/v1": "http://127.0.0.1:8000", "/images": "http://127.0.0.1:8000" },
	},
});
