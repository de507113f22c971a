#include "session.h"

#include "builtins.h"
#include "compiler.h"
#include "fold.h"
#include "format.h"
#include "parser.h"

#include <stdlib.h>

struct session *session_new(FILE *output, FILE *errors) {
  struct session *session = calloc(1, sizeof *session);
  if (!session)
    return NULL;
  session->machine = calloc(1, sizeof *session->machine);
  if (!session->machine) {
    free(session);
    return NULL;
  }
  session->pool.arena = &session->arena;
  session->machine->pool = &session->pool;
  session->machine->globals.arena = &session->arena;
  session->machine->output = output;
  session->output = output;
  session->errors = errors;
  session->fold = true;
  builtins_define(&session->pool, &session->machine->globals);
  return session;
}

static bool run_statements(struct session *session, const struct statement *statements, enum session_mode mode,
                           struct diagnostics *diagnostics) {
  const struct chunk *chunk = compile(&session->pool, diagnostics, statements);
  if (!chunk)
    return false;
  if (mode == SESSION_LIST) {
    chunk_list(chunk, session->output);
    return true;
  }
  return machine_run(session->machine, chunk, diagnostics);
}

bool session_evaluate(struct session *session, const struct source *source, enum session_mode mode) {
  struct diagnostics diagnostics = {.arena = &session->arena, .source = source};
  struct statement *statements = parse(&session->pool, &diagnostics);
  if (diagnostics.count == 0) {
    if (session->fold)
      fold(&session->pool, statements);
    if (mode == SESSION_FORMAT)
      format_statements(statements, session->output);
    else
      run_statements(session, statements, mode, &diagnostics);
  }
  diagnostics_print(&diagnostics, session->errors);
  return diagnostics.count == 0;
}

void session_free(struct session *session) {
  arena_release(&session->arena);
  free(session->machine);
  free(session);
}
