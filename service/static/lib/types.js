/** Types of the service's JSON. Generated from docs/openapi.json by `make openapi`. */

/**
 * The result of activating a release.
 *
 * @typedef {object} ActivatedRelease
 * @property {string} release Name of the release.
 * @property {string} before Name of the release that was served before.
 * @property {boolean} changed False: it was the served release before.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number} exemplars Number of its exemplars that take part in votes.
 * @property {string|null} after_restart Release that this process would serve after a restart: the setting `release` overrides activation. Null: there is none in the store.
 * @property {number} seconds Duration of the activation in seconds.
 */

/**
 * How to adapt.
 *
 * @typedef {object} Adapt
 * @property {string|null} [name] Name of the new release. By default, that of the old one, -a and the number of the edit.
 * @property {"auto"|"none"|"linear"|"mlp"|"forest"|"softmax"|"ensemble"} [fit] Kind of the head; auto chooses by cross-validation.
 * @property {"if_better"|"always"|"never"} [activate] Whether the new release is served: only if it is better, always, or never.
 * @property {number|null} [budget_s] Seconds for choosing a head. By default, SEGSORT_ADAPT_BUDGET_S.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * The new release of an adaptation.
 *
 * @typedef {object} AdaptationResult
 * @property {string} release Name of the new release, which is in GET /releases.
 * @property {number|null} before Mean intersection over union, 0 to 1, by cross-validation on the images of the exemplars; null: they cannot be compared, for example because pixels of a class are marked in a single image.
 * @property {number|null} after Mean intersection over union, 0 to 1, by cross-validation on the images of the exemplars; null: they cannot be compared, for example because pixels of a class are marked in a single image.
 * @property {boolean} better Whether `after` exceeds `before`.
 * @property {string} head The head that was chosen.
 * @property {number} seconds Time of the fit, seconds.
 * @property {number} index_revision Last edit of the old release that the new one begins with.
 * @property {boolean} activated Whether it is served.
 * @property {number} carried_over Number of edits made on it before it was served, for edits of the old release meanwhile.
 * @property {string|null} why_not Why it is not served; null: it is.
 */

/**
 * A labelled part of the image.
 *
 * @typedef {object} AddedExemplar
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} area Number of pixels.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} strength Number of exemplars that it counts as: 1, or more for a stroke.
 * @property {boolean} wins Whether its class wins the vote on its own pixels. False: another class looks the same to the network.
 * @property {boolean} added False: the exemplar existed before.
 */

/**
 * A labelled shape: a class by name or id, and a mask or polygons. An annotation of a COCO file is one too.
 *
 * @typedef {object} Annotation
 * @property {string|null} [class_name] Name of its class; a new name creates a class.
 * @property {number|null} [class_id] Id of its class, instead of a name.
 * @property {number|null} [category_id] Instead of a name or id of its class: id of an entry of `categories`, as in COCO files.
 * @property {string|null} [color] Colour #rrggbb of the class if it is created.
 * @property {ShapeMask|null} [mask] Its pixels as run lengths or polygons.
 * @property {(number[]|[number, number][])[]|null} [polygons] Instead of a mask: outlines in pixels of the upright image, each [x, y, x, y, ...] or [[x, y], ...]. One outline needs no list around it. A pixel belongs to the shape if its centre is inside an odd number of outlines: an outline inside another is a hole. Parts outside the image are left out.
 * @property {(number[]|[number, number][])[]|ShapeMask|null} [segmentation] COCO's name for polygons or mask; instead of these.
 * @property {unknown} [id] A field of COCO. It is not used.
 * @property {unknown} [image_id] A field of COCO. It is not used.
 * @property {unknown} [iscrowd] A field of COCO. It is not used.
 * @property {unknown} [area] A field of COCO. It is not used.
 * @property {unknown} [bbox] A field of COCO. It is not used.
 * @property {unknown} [keypoints] A field of COCO. It is not used.
 * @property {unknown} [num_keypoints] A field of COCO. It is not used.
 * @property {unknown} [attributes] A field of COCO. It is not used.
 * @property {unknown} [score] A field of COCO. It is not used.
 */

/**
 * A segmented image.
 *
 * @typedef {object} Answer
 * @property {string} segmentation_id Id of the answer.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {string} release Name of the release.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {ClassInfo[]} classes Classes that segments could take.
 * @property {Segment[]} segments The segments. Each pixel of the image is in exactly one of them.
 * @property {string|null} image_id SHA-256 of the image file; null where none was recorded.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string|null} conversion What was done to the values of the image when it was decoded, if they were not 8 bits of grey or RGB; null: nothing, or an old answer.
 */

/**
 * An answer in a list.
 *
 * @typedef {object} AnswerSummary
 * @property {string} segmentation_id Id of the answer.
 * @property {string} created Time in UTC, RFC 3339 with milliseconds.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {string} release Name of the release.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {number} segments Number of segments.
 * @property {string|null} image_id SHA-256 of the image file; null where none was recorded.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 */

/**
 * The pixels of a segment near other segments. There its outline is least certain.
 *
 * @typedef {object} Boundary
 * @property {number} distance_px Largest distance that counts as near, in pixels.
 * @property {number} share Share of the segment's pixels that are near, 0 to 1.
 * @property {BoundaryNeighbour[]} neighbours The other segments, the largest share first.
 */

/**
 * Another segment at the boundary.
 *
 * @typedef {object} BoundaryNeighbour
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string|null} class_name Name of the class; null: there was no exemplar that could vote.
 * @property {number} share Share of the pixels that lie near this segment, 0 to 1.
 */

/**
 * Confidence as a function of the winning share, and the threshold of known segments.
 *
 * @typedef {object} Calibration
 * @property {number[]} confidence_x Winning shares at the knots, 0 to 1, increasing. Between knots the curve is linear.
 * @property {number[]} confidence_y Confidences at the knots, 0 to 1, not decreasing; as many as shares.
 * @property {number} known_threshold A segment is known from this familiarity on, a cosine of -1 to 1. The familiarity is the mean of two cosines, or the cosine of the segment alone if `calibrated` is false.
 * @property {string} how Data that curve and threshold were fitted on; if not calibrated, why not.
 * @property {boolean} [calibrated] False: the exemplars did not allow a calibration, for example because there are none. No confidence is given then, and the knots are not used.
 */

/**
 * Who sends the request.
 *
 * @typedef {object} Caller
 * @property {string} name Name of the key; `local` where the service asks for no keys.
 * @property {"reader"|"curator"} role A reader may read; a curator may also edit.
 * @property {boolean} keys Whether the service asks for keys.
 */

/**
 * A class of a COCO file. Other fields are not used.
 *
 * @typedef {object} Category
 * @property {number} id What `category_id` of annotations refers to.
 * @property {string} name Name of the class; a new name creates a class.
 */

/**
 * A new class, or, with a class_id, the changes to an existing class.
 *
 * @typedef {object} ClassBody
 * @property {number|null} [class_id] The class to change; null: create one.
 * @property {string|null} [name] Its name, 1 to 60 characters.
 * @property {string|null} [color] Colour of the class as #rrggbb.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * A class that was created or changed.
 *
 * @typedef {object} ClassChanged
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit|null} edit The edit; null: the class had this name and colour already.
 * @property {ClassInfo} class The class after the edit.
 */

/**
 * A class.
 *
 * @typedef {object} ClassInfo
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} name Name of the class.
 * @property {string} color Colour in which it is drawn.
 */

/**
 * A correction of this segment's label that is in effect.
 *
 * @typedef {object} Correction
 * @property {number} revision Number of the edit.
 * @property {string} class_name Name of the class.
 * @property {string} author Name of the key of the author; `local` where the service asked for no keys.
 */

/**
 * The device of each step: cpu or cuda.
 *
 * @typedef {object} DeviceSteps
 * @property {string} network What runs the network.
 * @property {string} sorting What sorts pixels.
 * @property {string} search What searches exemplars.
 * @property {string} name Name of the device or of the processor.
 */

/**
 * A part of the annotations that is not used.
 *
 * @typedef {object} DroppedShape
 * @property {number} annotation Number of the annotation, from 0.
 * @property {number|null} ring Number of the polygon in the annotation, from 0; null: the whole annotation.
 * @property {"fewer than three points"|"outside the image"|"covers no pixel"} reason Why it is not used.
 */

/**
 * One change to exemplars or classes.
 *
 * @typedef {object} Edit
 * @property {number} revision Number of the edit.
 * @property {"add"|"label"|"remove"|"class"|"revert"} kind add: exemplars of a labelled image; label: the corrected label of a segment; remove: exemplars removed; class: a class created or changed; revert: an earlier edit reverted.
 * @property {string} release Name of the release.
 * @property {string} author Name of the key of the author; `local` where the service asked for no keys.
 * @property {string|null} reason Reason that the author gave; null: none.
 * @property {string} created Time in UTC, RFC 3339 with milliseconds.
 * @property {string} summary What the edit does, in one line.
 * @property {string[]} exemplar_ids Exemplars that the edit adds or removes.
 * @property {ClassInfo[]} classes Classes that the edit creates or changes.
 * @property {number|null} reverted_by Number of the edit that reverts this one; null: it is in effect.
 * @property {string} [segment_id] For a correction: id of the segment.
 * @property {string[]} [replaces] Ids of the exemplars that it removes: for a correction, those of earlier corrections of the segment; for strokes, those whose pixels they mark with another class.
 * @property {number} [reverts] For a revert: number of the reverted edit.
 */

/**
 * The result of an edit.
 *
 * @typedef {object} Edited
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit} edit The edit.
 */

/**
 * What an edit changes in recent answers.
 *
 * @typedef {object} Effect
 * @property {EffectSegment[]} segments Segments whose label changes through this edit.
 * @property {number} answers Number of answers that were compared.
 */

/**
 * A segment whose label an edit changes.
 *
 * @typedef {object} EffectSegment
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string|null} before Name of its class in the answer; null: it had no class.
 * @property {string|null} after Name of the class that it would get now; null: none.
 * @property {boolean} known Whether it would be known now. False: that class is only the nearest one.
 * @property {string|null} image_id SHA-256 of the image file; null where none was recorded.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * A labelled segment that votes on the labels of others.
 *
 * @typedef {object} Exemplar
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} strength How many ordinary exemplars this one counts for in a vote.
 * @property {string} source Name of its image.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} area Number of pixels.
 * @property {number|null} added_in Number of the edit that added it; null: it is part of the release.
 * @property {number|null} removed_in Number of the edit that removed it; null: it takes part in votes.
 * @property {string|null} author Name of the key that added it; null: it is part of the release.
 * @property {string} release Name of the release.
 * @property {string} image_url Path of its image file.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 * @property {Mask} mask Its pixels in its image.
 */

/**
 * One page of exemplars.
 *
 * @typedef {object} ExemplarList
 * @property {number} total Number of exemplars on all pages.
 * @property {ExemplarSummary[]} exemplars The exemplars of the page, the most recently added first.
 */

/**
 * An exemplar in a list: everything but its mask.
 *
 * @typedef {object} ExemplarSummary
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} strength How many ordinary exemplars this one counts for in a vote.
 * @property {string} source Name of its image.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} area Number of pixels.
 * @property {number|null} added_in Number of the edit that added it; null: it is part of the release.
 * @property {number|null} removed_in Number of the edit that removed it; null: it takes part in votes.
 * @property {string|null} author Name of the key that added it; null: it is part of the release.
 * @property {string} release Name of the release.
 * @property {string} image_url Path of its image file.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * The exemplars of a labelled image.
 *
 * @typedef {object} ExemplarsAdded
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit|null} edit The edit; null: there was nothing to change.
 * @property {AddedExemplar[]} exemplars One for each labelled part, whether it is new or not.
 * @property {ClassInfo[]} classes Classes that the edit created.
 * @property {number} already Number of exemplars that existed before.
 * @property {DroppedShape[]} dropped Annotations, and polygons of annotations, that are not used because they cover no pixel.
 * @property {RelabelledAnswer|null} relabelled The whole image, labelled again; null without `segmentation_id`, with relabel=false, or where that failed.
 */

/**
 * The result of removing exemplars.
 *
 * @typedef {object} ExemplarsRemoved
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit} edit The edit.
 * @property {number} already Number of exemplars that had been removed before.
 */

/**
 * Why a segment has its label, with all values that are needed to recompute the vote.
 *
 * @typedef {object} Explanation
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string} segmentation_id Id of the answer.
 * @property {number|null} class_id Number of the class; null: there was no exemplar that could vote.
 * @property {string|null} class_name Name of the class; null: there was no exemplar that could vote.
 * @property {number|null} confidence Calibrated probability that the label is right, 0 to 1; null: the release is not calibrated, or there was no exemplar that could vote.
 * @property {number|null} share Share of the vote that the class has, 0 to 1; null: nothing voted.
 * @property {boolean} known False: no exemplar is similar enough, so the label should not be trusted.
 * @property {number|null} familiarity Mean of image_similarity and the similarity of the nearest exemplar, or the latter alone if the release is not calibrated; below the threshold in `calibration` the segment is not known. Null: nothing voted.
 * @property {number|null} image_similarity Mean similarity of the image's segments to their nearest exemplars, weighted by area; null: nothing voted.
 * @property {number} area Number of pixels.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {Mask} mask Its pixels in the image.
 * @property {Vote} vote Settings and result of the vote.
 * @property {Voter[]} exemplars The exemplars that voted, nearest first.
 * @property {Neighbour[]} reserve The next nearest exemplars. They vote if nearer exemplars are removed.
 * @property {RunnerUp|null} runner_up The second class; null: no exemplar voted for another class.
 * @property {number|null} margin Share of the class minus that of the runner-up, 0 to 1; null: nothing voted.
 * @property {string[]|null} flip_set Ids of the smallest set of exemplars whose removal changes the label; null: removing any of the listed exemplars does not change it, or nothing voted.
 * @property {Boundary} boundary How much of the segment lies near other segments.
 * @property {SimilarSegment[]} similar Similar segments of other images, the most similar first.
 * @property {Correction[]} corrections Corrections of this segment's label, the newest first.
 * @property {Calibration} calibration How a share becomes a confidence, and from which familiarity on a segment is known.
 * @property {string} release Name of the release.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {string} label_url Path to which a corrected label is sent with POST.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * One map of a feature extractor.
 *
 * @typedef {object} FeatureGroupInfo
 * @property {string} name Name of the map.
 * @property {number} channels Number of values at each position.
 * @property {number} stride Pixels of the network's input between neighbouring positions.
 */

/**
 * The feature extractor in `features.onnx` of a release that can be adapted.
 *
 * @typedef {object} FeaturesInfo
 * @property {string} name Name of the feature extractor.
 * @property {FeatureGroupInfo[]} groups The maps that it computes.
 */

/**
 * The head that makes embeddings of features.
 *
 * @typedef {object} HeadInfo
 * @property {"identity"|"linear"|"mlp"|"forest"|"softmax"|"ensemble"} kind Kind of the head; identity: the features themselves, projected to fewer values.
 * @property {string[]} groups Names of the maps that it reads.
 * @property {string} chosen Description of this head: its kind and its maps.
 * @property {Record<string, number>} [cross_validated] Mean intersection over union, 0 to 1, of each head that was tried, by its description. It is measured on images that the head was not fitted on, or on such strokes if there is one image. Empty: nothing could be compared.
 * @property {number} [seconds] Time to choose and fit the head, seconds.
 */

/**
 * The labelled images of an archive as exemplars.
 *
 * @typedef {object} Imported
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {string} format Format of the labels.
 * @property {ImportedImage[]} images Images whose labelled parts are exemplars now.
 * @property {SkippedFile[]} skipped Files that were not used.
 * @property {string[]} notes Other things that a user should know, such as shapes that were left out.
 */

/**
 * The exemplars of one image of an archive.
 *
 * @typedef {object} ImportedImage
 * @property {string} name Name of the file in the archive.
 * @property {number|null} revision Number of the edit; null if all exemplars existed before.
 * @property {number} exemplars Number of exemplars that were added.
 * @property {number} already Number of exemplars that existed before.
 */

/**
 * Work that outlives a request.
 *
 * @typedef {object} Job
 * @property {string} job_id Id of the job.
 * @property {"adapt"} kind adapt: the head of a release is fitted again.
 * @property {"queued"|"running"|"succeeded"|"failed"|"cancelled"|"interrupted"} state interrupted: the service ended before the job did.
 * @property {string} release The release that it began with.
 * @property {string} author Name of the key of the author; `local` where the service asked for no keys.
 * @property {string|null} reason Reason that the author gave; null: none.
 * @property {string} created Time in UTC, RFC 3339 with milliseconds.
 * @property {string|null} started When work on it began; null: it has not begun.
 * @property {string|null} ended When it ended; null: it has not ended.
 * @property {string} stage What it is doing, or was doing last: queued, start, snapshot, features, head, calibration, exemplars, activation. The last stage stores the new release and serves it if that is wanted.
 * @property {number} done Steps of the stage that are done.
 * @property {number} total Steps of the stage.
 * @property {number} progress Progress of the whole job, 0 to 1.
 * @property {AdaptationResult|null} result The new release; null until the job has succeeded.
 * @property {string|null} problem Why it failed; null: it has not failed.
 */

/**
 * The right class of a segment, by name or by id.
 *
 * @typedef {object} Label
 * @property {string|null} [class_name] Its name; a new name creates a class.
 * @property {number|null} [class_id] Its id, in place of the name.
 * @property {string|null} [color] Colour of the class as #rrggbb.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * A segment whose label is different.
 *
 * @typedef {object} LabelChange
 * @property {string} segment_id Id of the segment in the new answer.
 * @property {string} before_segment_id Id of the segment in the earlier answer.
 * @property {string|null} before Name of its class in the earlier answer; null: it had no class.
 * @property {string|null} after Name of its class in the new answer; null: it has no class.
 */

/**
 * The licences of the parts of a release.
 *
 * @typedef {object} Licence
 * @property {Record<string, string>} network Licences of the network by their subject: `weights`, `training data`, `statistics` and others.
 * @property {string|null} exemplars Licence of the images that the release was built from; null: the card does not state it.
 * @property {string|null} added Licence of the images that users added; null: the card does not state it.
 */

/**
 * The process is running.
 *
 * @typedef {object} Liveness
 * @property {"ok"} status Always ok.
 */

/**
 * Pixels of one region as COCO compressed run lengths; `pycocotools.mask.decode` reads it.
 *
 * @typedef {object} Mask
 * @property {[number, number]} size [height, width] of the image in pixels.
 * @property {string} counts Compressed run lengths, column by column.
 */

/**
 * One of the nearest exemplars of a segment.
 *
 * @typedef {object} Neighbour
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} strength How many ordinary exemplars this one counts for in a vote.
 * @property {string} source Name of its image.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} area Number of pixels.
 * @property {number|null} added_in Number of the edit that added it; null: it is part of the release.
 * @property {number|null} removed_in Number of the edit that removed it; null: it takes part in votes.
 * @property {string|null} author Name of the key that added it; null: it is part of the release.
 * @property {string} release Name of the release.
 * @property {string} image_url Path of its image file.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 * @property {Mask} mask Its pixels in its image.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 */

/**
 * Description of the network of a release.
 *
 * @typedef {object} NetworkInfo
 * @property {string} name Name of the network: its backbone and what was trained or fitted on it.
 * @property {string} backbone Name of the pretrained network or of the feature extractor inside it.
 * @property {number} [dimension] Number of values of an embedding, which is a unit vector.
 * @property {number} [stride] Pixels of the network's input between neighbouring embeddings.
 * @property {number} parameters Number of weights.
 * @property {number} opset Version of the ONNX operators that it uses.
 */

/**
 * A segmented image, and how long it took.
 *
 * @typedef {object} NewAnswer
 * @property {string} segmentation_id Id of the answer.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {string} release Name of the release.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {ClassInfo[]} classes Classes that segments could take.
 * @property {Segment[]} segments The segments. Each pixel of the image is in exactly one of them.
 * @property {string} image_id SHA-256 of the image file.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string|null} conversion What was done to the values of the image when it was decoded, if they were not 8 bits of grey or RGB; null: nothing, or an old answer.
 * @property {Timings} timings_ms Time of each stage in milliseconds.
 */

/**
 * A class that segments may take.
 *
 * @typedef {object} OfferedClass
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} name Name of the class.
 * @property {string} color Colour in which it is drawn.
 * @property {number} exemplars Number of exemplars of this class that take part in votes.
 * @property {"release"|"edit"} origin Whether the release or an edit brought the class.
 */

/**
 * Outlines of one region.
 *
 * @typedef {object} PolygonMask
 * @property {[number, number]} size [height, width] of the image in pixels.
 * @property {number[][][]} polygons Closed rings of points [x, y] in pixels. Holes run in the opposite direction.
 */

/**
 * Preprocessing of the network's input: resize, then (rgb - mean) / std, then pad.
 *
 * @typedef {object} Preprocessing
 * @property {number} working_size Longest side of the resized image in pixels.
 * @property {number} [multiple_of] The right and bottom edges are repeated until both sides are multiples of this number of pixels.
 * @property {[number, number, number]} mean Mean of red, green and blue on the scale 0 to 255; it is subtracted.
 * @property {[number, number, number]} std Standard deviation of red, green and blue on the scale 0 to 255; the difference is divided by it.
 * @property {"bilinear"} [resample] Interpolation of the resized image.
 */

/**
 * An error as RFC 9457 problem JSON: what is wrong, what was received, what is allowed, and how to fix it.
 *
 * @typedef {object} Problem
 * @property {string} type Always about:blank: `title` and `status` say what kind it is.
 * @property {string} title The phrase of the status.
 * @property {number} status HTTP status.
 * @property {string} detail What is wrong, in one sentence.
 * @property {unknown} [received] What the request contained, shortened.
 * @property {unknown} [allowed] What it may contain.
 * @property {string} [fix] What to do about it.
 * @property {string} [request_id] Id of the request, also in the header X-Request-ID and in the log.
 */

/**
 * The service can segment images.
 *
 * @typedef {object} Readiness
 * @property {"ready"} status Always ready; a service that is not answers 503.
 * @property {string} release Name of the release.
 * @property {"cpu"|"cuda"} device Device in the settings.
 * @property {string} runs_on Provider by which ONNX Runtime runs the network.
 * @property {16|32} network_bits Bits of the numbers in the network.
 * @property {DeviceSteps} steps_run_on What each step runs on.
 * @property {number} exemplars Number of exemplars that take part in votes.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 */

/**
 * Times of relabelling. Neither the network nor pixel sorting runs.
 *
 * @typedef {object} RelabelTimings
 * @property {number} retrieve Searching exemplars and voting.
 * @property {number} total All stages.
 */

/**
 * The segments of an earlier answer, labelled with the present exemplars.
 *
 * @typedef {object} RelabelledAnswer
 * @property {string} segmentation_id Id of the answer.
 * @property {number} width Width of the upright image in pixels.
 * @property {number} height Height of the upright image in pixels.
 * @property {string} release Name of the release.
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {ClassInfo[]} classes Classes that segments could take.
 * @property {Segment[]} segments The segments. Each pixel of the image is in exactly one of them.
 * @property {string|null} image_id SHA-256 of the image file; null where none was recorded.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string|null} conversion What was done to the values of the image when it was decoded, if they were not 8 bits of grey or RGB; null: nothing, or an old answer.
 * @property {string} relabelled_from Id of the earlier answer.
 * @property {LabelChange[]} changed Segments whose label is different.
 * @property {RelabelTimings} timings_ms Time of each stage in milliseconds.
 */

/**
 * The card of a release: how it was made, how it was measured, and its licence.
 *
 * @typedef {object} ReleaseCard
 * @property {number} [format_version] Version of the card's format.
 * @property {string} name Name of the release.
 * @property {string|null} created When it was built; null if its card does not say it.
 * @property {string} description What it is for.
 * @property {ReleaseClass[]} classes Its classes. Their ids are 0, 1, 2, ... in order. An empty release has none.
 * @property {number[]} [retired] Ids of classes that have no exemplars and are not offered. No other class gets their ids.
 * @property {NetworkInfo} network The network that computes embeddings.
 * @property {Preprocessing} preprocessing How an image is prepared for the network.
 * @property {SortingInfo} sorting How pixels are sorted into segments.
 * @property {RetrievalInfo} retrieval How exemplars are searched and vote.
 * @property {Calibration} calibration How a share becomes a confidence, and from which familiarity on a segment is known.
 * @property {FeaturesInfo|null} [features] The feature extractor; null: the release cannot be adapted.
 * @property {HeadInfo|null} [head] The head that makes embeddings of features; null: the network has none.
 * @property {Record<string, any>} [provenance] What it was built with: the version of the software, and the network.
 * @property {Licence} licence Licences of its parts.
 * @property {Record<string, any>} [data] Where its exemplars and its calibration come from, with their numbers.
 * @property {Record<string, any>} [training] How the network was trained.
 * @property {Record<string, any>} [metrics] Measured results, by what was measured; scores are 0 to 1.
 */

/**
 * A class in a release's card.
 *
 * @typedef {object} ReleaseClass
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} name Name of the class, unique in the release.
 * @property {[number, number, number]} color Colour as [red, green, blue], each 0 to 255.
 */

/**
 * A release in a list. What only its card says is null if the card cannot be read.
 *
 * @typedef {object} ReleaseSummary
 * @property {string} name Name of the release.
 * @property {boolean} active Whether it is served.
 * @property {string|null} created When it was built; null if its card does not say it.
 * @property {string|null} description What it is for; null if its card cannot be read.
 * @property {string|null} problem Why it cannot be served; null: it can be served.
 * @property {boolean} bundled Whether the package contains it.
 * @property {number|null} classes Number of classes; null if its card cannot be read.
 * @property {number|null} exemplars Number of exemplars; null if its card does not contain it.
 * @property {NetworkInfo|null} network Its network; null if its card cannot be read.
 * @property {Record<string, any>|null} metrics Measured results and how they were measured; null if its card cannot be read.
 * @property {Licence|null} licence Licences of its parts; null if its card cannot be read.
 */

/**
 * Exemplars to remove.
 *
 * @typedef {object} Removal
 * @property {string[]} exemplar_ids Their ids.
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * Settings of the vote of the nearest exemplars.
 *
 * @typedef {object} RetrievalInfo
 * @property {number} [k] Number of exemplars that vote on a segment.
 * @property {number} [kappa] Concentration: the weight of a vote is strength * exp(kappa * cosine).
 * @property {string} [index_factory] Kind of the search index, in the notation of the FAISS index factory.
 */

/**
 * Why an edit is reverted.
 *
 * @typedef {object} Revert
 * @property {string|null} [reason] Why, in your words, at most 1000 characters.
 */

/**
 * The class with the second largest share.
 *
 * @typedef {object} RunnerUp
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} weight Share of the vote, 0 to 1.
 * @property {Neighbour[]} exemplars Its nearest exemplars at the time of the answer, at most 5.
 */

/**
 * A segment of the image with its label.
 *
 * @typedef {object} Segment
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {number|null} class_id Number of the class; null: there was no exemplar that could vote.
 * @property {string|null} class_name Name of the class; null: there was no exemplar that could vote.
 * @property {number|null} confidence Calibrated probability that the label is right, 0 to 1; null: the release is not calibrated, or there was no exemplar that could vote.
 * @property {boolean} known False: no exemplar is similar enough, so the label should not be trusted.
 * @property {number} area Number of pixels.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {Mask|PolygonMask} [mask] Run lengths with masks=rle, outlines with masks=polygon, absent with masks=none.
 * @property {SegmentExemplar[]} exemplars The exemplars with the largest similarity, best first: as many as `exemplars` asks for.
 */

/**
 * An exemplar that voted on a segment.
 *
 * @typedef {object} SegmentExemplar
 * @property {string} exemplar_id Id of the exemplar.
 * @property {string} class_name Name of the class.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 * @property {number} weight Share of the vote, 0 to 1.
 */

/**
 * The result of correcting a label: the segment is now an exemplar.
 *
 * @typedef {object} SegmentLabelled
 * @property {number} index_revision Number of the last edit that the answer takes into account; 0: none.
 * @property {Edit|null} edit The edit; null: there was nothing to change.
 * @property {Exemplar} exemplar The segment as an exemplar of the right class.
 * @property {number} strength Strength that it needs to take the label. Usually 1.
 * @property {RelabelledAnswer|null} relabelled The whole image, labelled again; null with relabel=false, or where that failed.
 * @property {ClassInfo[]} classes Classes that the edit created.
 */

/**
 * The pixels of a shape: as COCO run lengths, or as polygons. Either form is that of answers.
 *
 * @typedef {object} ShapeMask
 * @property {[number, number]} size [height, width] of the upright image in pixels.
 * @property {string|number[]|null} [counts] Lengths of runs of pixels, column by column, alternately outside and inside; the first is outside. They are compressed as COCO does, or a list of numbers.
 * @property {(number[]|[number, number][])[]|null} [polygons] Instead of run lengths: outlines in pixels of the upright image, each [x, y, x, y, ...] or [[x, y], ...]. One outline needs no list around it. A pixel belongs to the shape if its centre is inside an odd number of outlines: an outline inside another is a hole. Parts outside the image are left out.
 */

/**
 * A key to sign in with.
 *
 * @typedef {object} SignIn
 * @property {string} key A key of `segsort keys new`.
 */

/**
 * A segment of an earlier answer with a similar prototype.
 *
 * @typedef {object} SimilarSegment
 * @property {string} segment_id Id of the segment: the segmentation's id, a dash and a number.
 * @property {string|null} class_name Name of its class in that answer; null: it had no class.
 * @property {number|null} confidence Calibrated probability that the label is right, 0 to 1; null: the release is not calibrated, or there was no exemplar that could vote.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 * @property {string|null} image_url Path of the image file; null once the image is no longer stored.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 */

/**
 * A file of an archive that was not used.
 *
 * @typedef {object} SkippedFile
 * @property {string} name Name of the file in the archive.
 * @property {string} reason Why it was not used.
 */

/**
 * Settings of pixel sorting, which divides an image into segments.
 *
 * @typedef {object} SortingInfo
 * @property {number} [segments] Number of segments that sorting starts with; it ends with at most as many.
 * @property {number} [iterations] Largest number of iterations over all pixels.
 * @property {number} [coarse_iterations] Largest number of iterations over a quarter of the pixels, before the others.
 * @property {number} [location_weight] How much a pixel's location counts beside its embedding, which has length 1: the length of the location at the end of the longer side. 0: not at all.
 * @property {"hard"|"soft"} [assignment] hard: each pixel belongs to one segment; soft: to all, by their probabilities.
 * @property {number} [kappa] Concentration of a segment's embeddings; only for soft assignment.
 * @property {number} [min_area] Smallest area of a segment as a share of the image, 0 to 1; smaller segments are merged.
 * @property {"float32"|"int8"} [precision] Numbers in which pixels are compared with segments. int8 is faster on some processors, and changes only assignments that are almost equally good.
 */

/**
 * A line that marks pixels with a class: the class by name or id, points [x, y] and the width in pixels.
 *
 * @typedef {object} Stroke
 * @property {string|null} [class_name] Name of its class; a new name creates a class.
 * @property {number|null} [class_id] Id of its class, instead of a name.
 * @property {string|null} [color] Colour #rrggbb of the class if it is created.
 * @property {[number, number][]} points [x, y] in pixels of the upright image at its full size. A single point is a dot.
 * @property {number} width In pixels of the upright image, at most its longer side.
 */

/**
 * Times of a segmentation.
 *
 * @typedef {object} Timings
 * @property {number} decode Decoding the image file.
 * @property {number} embed Running the network.
 * @property {number} sort Sorting pixels into segments.
 * @property {number} retrieve Searching exemplars and voting.
 * @property {number} total All stages.
 */

/**
 * The vote of the nearest exemplars.
 *
 * @typedef {object} Vote
 * @property {number} k Number of exemplars that voted; 0: there was none.
 * @property {number} kappa Concentration: a larger one gives near exemplars more weight.
 * @property {VotedClass[]} classes Classes with a share, the largest first. Shares sum to 1.
 */

/**
 * The votes for one class, and its colour.
 *
 * @typedef {object} VotedClass
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} weight Share of the vote, 0 to 1.
 * @property {string} color Colour in which the class is drawn.
 */

/**
 * An exemplar that voted; its weight is strength * exp(kappa * similarity), divided by the sum over all voters.
 *
 * @typedef {object} Voter
 * @property {string} exemplar_id Id of the exemplar.
 * @property {number} class_id Number of the class; it never changes.
 * @property {string} class_name Name of the class.
 * @property {number} strength How many ordinary exemplars this one counts for in a vote.
 * @property {string} source Name of its image.
 * @property {[number, number, number, number]} bbox Bounding box [x, y, width, height] in pixels; x and y of its top left corner.
 * @property {number} area Number of pixels.
 * @property {number|null} added_in Number of the edit that added it; null: it is part of the release.
 * @property {number|null} removed_in Number of the edit that removed it; null: it takes part in votes.
 * @property {string|null} author Name of the key that added it; null: it is part of the release.
 * @property {string} release Name of the release.
 * @property {string} image_url Path of its image file.
 * @property {string} crop_url Path of a PNG of its part of the image, with its outline.
 * @property {Mask} mask Its pixels in its image.
 * @property {number} similarity Cosine of the two prototypes; 1: same direction. A float32 with all its digits.
 * @property {number} weight Share of the vote, 0 to 1.
 */

export {};
