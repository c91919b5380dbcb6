/** Gives the reader a file that the page has made or got. */

export function saveFile(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The browser has taken hold of the content by the end of the click's own task.
  setTimeout(() => URL.revokeObjectURL(address), 0);
}
