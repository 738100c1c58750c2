/* SPDX-License-Identifier: Apache-2.0 */
#include "face/resident.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "face/detector_internal.h"

/* More pictures at a time than this fill no device better, and each takes memory of both networks there. */
enum { MOST_ON_A_DEVICE = 8 };

struct vt_resident {
    const struct vt_photo_backend *functions;
    struct vt_engine *detector, *recogniser; /* recogniser NULL: none */
    struct vt_pool *pool;
    bool decodes_jpeg;
    struct vt_photo_traffic before;
    _Atomic uint64_t pictures;
    _Atomic unsigned made; /* places, ever */
    _Atomic bool failed;
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct vt_stay *idle; /* under lock, as the number of all and the most that there may be */
    int count, most;
};

static void destroy_stay(const struct vt_resident *resident, struct vt_stay *stay) {
    resident->functions->destroy(stay->photo);
    vt_engine_destroy_executable(resident->detector, stay->detector);
    if (resident->recogniser) vt_engine_destroy_executable(resident->recogniser, stay->recogniser);
    free(stay);
}

/* On the devices in turn. */
static enum vultus_status create_stay(struct vt_resident *resident, struct vt_stay **out, struct vultus_error *error) {
    int device = (int)(atomic_fetch_add(&resident->made, 1) % (unsigned)vt_engine_devices(resident->detector));
    struct vt_stay *stay = calloc(1, sizeof *stay);
    if (!stay) return vt_fail_memory(error, "a picture's place on the device", sizeof *stay);
    stay->functions = resident->functions;
    stay->decodes_jpeg = resident->decodes_jpeg;
    enum vultus_status status = resident->functions->create(device, &stay->photo, error);
    if (!status) status = vt_engine_create_executable(resident->detector, device, &stay->detector, error);
    if (!status && resident->recogniser)
        status = vt_engine_create_executable(resident->recogniser, device, &stay->recogniser, error);
    if (status)
        destroy_stay(resident, stay);
    else
        *out = stay;
    return status;
}

enum vultus_status vt_resident_create(const struct vt_detector *detector, const struct vt_embedder *embedder,
    bool decodes_jpeg, struct vt_resident **out, struct vultus_error *error) {
    struct vt_engine *recogniser = embedder ? vt_embedder_engine(embedder) : NULL;
    const struct vt_photo_backend *functions = vt_engine_photos(detector->network.engine);
    char reason[160];
    *out = NULL;
    if (!functions) return VULTUS_OK;
    if (embedder && (vt_engine_photos(recogniser) != functions || !vt_embedder_fits_device(embedder))) return VULTUS_OK;
    struct vt_resident *resident = calloc(1, sizeof *resident);
    if (!resident) return vt_fail_memory(error, "places on the device", sizeof *resident);
    resident->functions = functions;
    resident->detector = detector->network.engine;
    resident->recogniser = recogniser;
    resident->pool = detector->pool;
    resident->decodes_jpeg = decodes_jpeg && functions->decodes_jpeg(reason, sizeof reason);
    if (decodes_jpeg && !resident->decodes_jpeg)
        vt_log(VT_LOG_INFO, "JPEG is decoded by processors, and pixels go to the device: %s", reason);
    resident->most = MOST_ON_A_DEVICE * vt_engine_devices(resident->detector);
    functions->traffic(&resident->before);
    pthread_mutex_init(&resident->lock, NULL);
    pthread_cond_init(&resident->given, NULL);
    *out = resident;
    return VULTUS_OK;
}

void vt_resident_destroy(struct vt_resident *resident) {
    if (!resident) return;
    while (resident->idle) {
        struct vt_stay *stay = resident->idle;
        resident->idle = stay->next;
        destroy_stay(resident, stay);
    }
    pthread_cond_destroy(&resident->given);
    pthread_mutex_destroy(&resident->lock);
    free(resident);
}

bool vt_resident_is_usable(const struct vt_resident *resident) {
    return resident && !atomic_load(&resident->failed) && vt_engine_photos(resident->detector) &&
           (!resident->recogniser || vt_engine_photos(resident->recogniser));
}

/* Takes an idle one, or leaves room for a new one in the count: then NULL. Waits while there is neither. */
static struct vt_stay *wait_for_stay(struct vt_resident *resident) {
    bool aside = false;
    pthread_mutex_lock(&resident->lock);
    while (!resident->idle && resident->count == resident->most) {
        if (!aside) aside = vt_pool_step_aside(resident->pool);
        pthread_cond_wait(&resident->given, &resident->lock);
    }
    struct vt_stay *stay = resident->idle;
    if (stay)
        resident->idle = stay->next;
    else
        resident->count++;
    pthread_mutex_unlock(&resident->lock);
    vt_pool_step_back(resident->pool, aside);
    return stay;
}

/* There was no memory for one more. False: there is not even one. */
static bool make_do(struct vt_resident *resident) {
    pthread_mutex_lock(&resident->lock);
    int left = --resident->count;
    if (left > 0) resident->most = left;
    pthread_cond_signal(&resident->given);
    pthread_mutex_unlock(&resident->lock);
    return left > 0;
}

static void give_up(struct vt_resident *resident, const struct vultus_error *failure) {
    if (!atomic_exchange(&resident->failed, true))
        vt_log(VT_LOG_WARN, "pictures do not stay on the device any more: %s", failure->text);
}

struct vt_stay *vt_resident_take(struct vt_resident *resident) {
    struct vultus_error failure = {VULTUS_OK, ""};
    while (vt_resident_is_usable(resident)) {
        struct vt_stay *stay = wait_for_stay(resident);
        if (stay || create_stay(resident, &stay, &failure) == VULTUS_OK) return stay;
        if (!make_do(resident) || failure.status != VULTUS_ERROR_MEMORY) give_up(resident, &failure);
    }
    return NULL;
}

void vt_resident_give(struct vt_resident *resident, struct vt_stay *stay, const struct vultus_error *failure) {
    if (failure->status == VULTUS_ERROR_MEMORY) {
        destroy_stay(resident, stay);
        if (!make_do(resident)) give_up(resident, failure);
        return;
    }
    if (failure->status == VULTUS_ERROR_BACKEND) give_up(resident, failure);
    if (failure->status == VULTUS_OK) atomic_fetch_add(&resident->pictures, 1);
    pthread_mutex_lock(&resident->lock);
    stay->next = resident->idle;
    resident->idle = stay;
    pthread_cond_signal(&resident->given);
    pthread_mutex_unlock(&resident->lock);
}

void vt_resident_measure(const struct vt_resident *resident, struct vt_resident_statistics *out) {
    *out = (struct vt_resident_statistics){0};
    if (!resident) return;
    struct vt_photo_traffic now;
    resident->functions->traffic(&now);
    out->pictures = atomic_load(&resident->pictures);
    out->to_device = now.to_device - resident->before.to_device;
    out->from_device = now.from_device - resident->before.from_device;
}
