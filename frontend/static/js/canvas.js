// A canvas of as many pixels as the screen has where it is shown: its pen, its size and its style in
// CSS pixels; null while it is not shown.
export function penOf(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return null;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  return { pen, width, height, style: getComputedStyle(canvas) };
}
