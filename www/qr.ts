/** An invite link as a QR code: drawn in this page, for a link is a key and goes to nobody else. */
import encodeQR from "qr";

/** Shows `link` in `figure`, dark on light by day and by night: that is what cameras look for. */
export function showCode(figure: HTMLElement, link: string): void {
  const rows = encodeQR(link, "raw", { ecc: "low", border: BORDER });
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${rows.length} ${rows.length}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code of the invite link");
  svg.setAttribute("shape-rendering", "crispEdges");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", rows.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join(""));
  svg.append(path);
  figure.replaceChildren(svg);
}

const SVG = "http://www.w3.org/2000/svg";
/** Modules of white around it, as the standard asks. */
const BORDER = 4;
