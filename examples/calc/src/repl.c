#include "repl.h"

#include "builtins.h"

#include <string.h>
#include <unistd.h>

enum { LONGEST_LINE = 4096 };

/* An open parenthesis, or a backslash at the end, asks for another line. */
static bool wants_more(const char *text, size_t length) {
  int open = 0;
  bool in_string = false;
  for (size_t i = 0; i < length; i++) {
    if (in_string && text[i] == '\\' && i + 1 < length)
      i++;
    else if (text[i] == '"')
      in_string = !in_string;
    else if (!in_string && text[i] == '#')
      while (i + 1 < length && text[i + 1] != '\n')
        i++;
    else if (!in_string && text[i] == '(')
      open++;
    else if (!in_string && text[i] == ')')
      open--;
  }
  return open > 0 || (length > 0 && text[length - 1] == '\\');
}

static bool command(struct session *session, const char *line) {
  if (strcmp(line, ":help") == 0) {
    fputs("let NAME = VALUE; fn NAME(PARAMETERS) = VALUE; an expression alone is printed\n"
          ":builtins  :names  :steps  :quit\n",
          session->output);
  } else if (strcmp(line, ":builtins") == 0) {
    builtins_list(session->output);
  } else if (strcmp(line, ":names") == 0) {
    const struct table *globals = &session->machine->globals;
    char text[120];
    for (uint32_t i = 0; i < globals->count; i++) {
      value_print(globals->entries[i].value, text, sizeof text);
      fprintf(session->output, "  %s = %s\n", globals->entries[i].key->bytes, text);
    }
  } else if (strcmp(line, ":steps") == 0) {
    fprintf(session->output, "%llu instructions, %zu bytes, longest probe %u\n",
            (unsigned long long)session->machine->steps, session->arena.allocated,
            table_longest_probe(&session->machine->globals));
  } else {
    fprintf(session->errors, "there is no command %s: try :help\n", line);
    return false;
  }
  return true;
}

/* False at the end of the input, or where a statement is longer than the line may be. */
static bool read_statement(FILE *input, bool person, char *text, size_t *length) {
  *length = 0;
  do {
    if (*length > 0 && text[*length - 1] == '\\')
      text[*length - 1] = '\n';
    if (person) {
      fputs(*length == 0 ? "> " : ". ", stdout);
      fflush(stdout);
    }
    if (*length + 2 >= LONGEST_LINE || !fgets(text + *length, (int)(LONGEST_LINE - *length), input))
      return *length > 0;
    *length += strlen(text + *length);
    while (*length > 0 && (text[*length - 1] == '\n' || text[*length - 1] == '\r'))
      text[--*length] = 0;
  } while (wants_more(text, *length));
  return true;
}

bool repl_run(struct session *session, FILE *input) {
  bool person = isatty(fileno(input)) != 0, good = true;
  static char text[LONGEST_LINE];
  size_t length;
  while (read_statement(input, person, text, &length)) {
    if (strcmp(text, ":quit") == 0)
      break;
    if (text[0] == ':') {
      good = command(session, text) && good;
      continue;
    }
    struct source *source = arena_allocate(&session->arena, sizeof *source);
    *source = (struct source){"input", arena_copy(&session->arena, text, length), length};
    good = session_evaluate(session, source, SESSION_RUN) && good;
  }
  if (person)
    fputc('\n', stdout);
  return good || person;
}
