/** The colours that the site's switch chose, before anything is drawn; the switch here chooses for both. */
const KEY = `${new URL("..", location.href).pathname}.__palette`;
const SCHEMES = { light: "default", dark: "slate" } as const;
type Theme = keyof typeof SCHEMES;

function stored(): Theme | null {
  try {
    const palette = JSON.parse(localStorage.getItem(KEY) ?? "null") as { color?: { scheme?: string } } | null;
    const scheme = palette?.color?.scheme;
    return (Object.keys(SCHEMES) as Theme[]).find((theme) => SCHEMES[theme] === scheme) ?? null;
  } catch {
    return null;
  }
}

function shown(): Theme {
  return stored() ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function show(): void {
  document.documentElement.dataset.theme = shown();
  document.getElementById("theme")?.setAttribute("aria-pressed", `${shown() === "dark"}`);
}

function choose(theme: Theme): void {
  const media = `(prefers-color-scheme: ${theme})`;
  const color = { media, scheme: SCHEMES[theme], primary: "indigo", accent: "indigo" };
  try {
    localStorage.setItem(KEY, JSON.stringify({ index: theme === "dark" ? 1 : 0, color }));
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme")?.setAttribute("aria-pressed", `${theme === "dark"}`);
}

show();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
addEventListener("storage", ({ key }) => { if (key === KEY) show(); });
addEventListener("DOMContentLoaded", () => {
  show();
  document.getElementById("theme")?.addEventListener("click", () => {
    choose(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  });
});
