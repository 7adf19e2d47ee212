/**
 * Gives texts of so many characters, cut out of one that `draw` makes of any number of them. What is cut out is one piece to the engine,
 * where a text that is put together is walked anew for each text that holds it.
 */
export function cutTexts(characters: number, draw: () => string): () => string {
  let drawn = '';
  let offset = 0;
  return () => {
    if (offset === drawn.length) {
      drawn = draw();
      offset = 0;
    }
    offset += characters;
    return drawn.slice(offset - characters, offset);
  };
}
