/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VT_SERVER_MODELS_H
#define VT_SERVER_MODELS_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends.h"
#include "builder.h"
#include "server.h"

struct vt_server;

enum { VT_MODEL_NAME = 512 };

/* Which models serve, as they were asked for; "" is a role's default. */
struct vt_model_choice {
    char names[VT_ROLES][VT_MODEL_NAME];
    char precision[8];
    int width, height, max_batch, max_delay_us;
};

/* The models of one choice, open and warm. A request holds them from its last byte until its answer is sent. */
struct vt_models {
    struct vt_model_choice choice;
    struct vultus_pipeline *pipeline;
    struct vultus_pipeline_info info;
    char *stems[VT_ROLES];       /* names of the models' files; NULL where there is none */
    unsigned attributes;         /* that can be told, bits of enum vultus_attribute */
    struct vt_backends backends; /* as the models were opened; vt_backends_now tells what holds */
    _Atomic bool failure_counted;
    size_t users; /* private to models.c */
};

/* Those in service. Zero it. */
struct vt_model_keeper {
    pthread_mutex_t lock;     /* of `current` and of all users */
    pthread_mutex_t changing; /* one change at a time */
    struct vt_models *current;
    struct vt_builder builder;
};

/* The role of the key of that name ("det"), or VT_ROLES. */
enum vt_role vt_role_of_name(const char *name);
const char *vt_role_name(enum vt_role role);

/* What settings, by key, ask for. LIMIT: a name is too long. */
enum vultus_status vt_model_choice_read(
    const struct vt_key_value *settings, struct vt_model_choice *out, struct vultus_error *error);

/* Opens the settings' models. */
enum vultus_status vt_models_start(struct vt_server *server, struct vultus_error *error);
/*
 * Puts the models of a choice in place of those in service, which stay where that fails and are closed when the last
 * request that began with them is answered. Takes as long as building plans does. Thread-safe.
 */
enum vultus_status vt_models_change(
    struct vt_server *server, const struct vt_model_choice *choice, struct vultus_error *error);
/* The same with another model in one role, shorter than VT_MODEL_NAME. */
enum vultus_status vt_models_change_role(
    struct vt_server *server, enum vt_role role, const char *name, struct vultus_error *error);
/* Ends a change that is in work with a failure, and all later ones. Thread-safe. */
void vt_models_stop(struct vt_server *server);
/* When no request is left. */
void vt_models_end(struct vt_server *server);

/* The models in service, to be released by the caller. Thread-safe. */
struct vt_models *vt_models_take(struct vt_server *server);
void vt_models_release(struct vt_server *server, struct vt_models *models);

#endif
