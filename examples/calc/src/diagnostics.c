#include "diagnostics.h"

#include <string.h>

struct position source_position(const struct source *source, uint32_t offset) {
  struct position position = {1, 1, source->text, 0};
  const char *end = source->text + source->length;
  const char *at = source->text + (offset < source->length ? offset : source->length);
  for (const char *c = source->text; c < at; c++) {
    if (*c == '\n') {
      position.line++;
      position.line_begin = c + 1;
    }
  }
  position.column = (unsigned)(at - position.line_begin) + 1;
  const char *line_end = memchr(position.line_begin, '\n', (size_t)(end - position.line_begin));
  position.line_length = (size_t)((line_end ? line_end : end) - position.line_begin);
  return position;
}

void diagnose(struct diagnostics *diagnostics, uint32_t offset, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length < 0)
    length = 0;
  if ((size_t)length >= sizeof text)
    length = sizeof text - 1;
  struct diagnostic *diagnostic = arena_allocate(diagnostics->arena, sizeof *diagnostic);
  diagnostic->source = diagnostics->source;
  diagnostic->offset = offset;
  diagnostic->message = arena_copy(diagnostics->arena, text, (size_t)length);
  if (diagnostics->last)
    diagnostics->last->next = diagnostic;
  else
    diagnostics->first = diagnostic;
  diagnostics->last = diagnostic;
  diagnostics->count++;
}

static void print_caret(const struct position *position, FILE *to) {
  fputs("    ", to);
  for (unsigned i = 1; i < position->column && i <= position->line_length; i++)
    fputc(position->line_begin[i - 1] == '\t' ? '\t' : ' ', to);
  fputs("^\n", to);
}

void diagnostics_print(const struct diagnostics *diagnostics, FILE *to) {
  for (const struct diagnostic *each = diagnostics->first; each; each = each->next) {
    struct position position = source_position(each->source, each->offset);
    fprintf(to, "%s:%u:%u: %s\n", each->source->name, position.line, position.column, each->message);
    fprintf(to, "    %.*s\n", (int)position.line_length, position.line_begin);
    print_caret(&position, to);
  }
}
