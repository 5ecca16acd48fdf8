// The microphone as it is: what browsers do for calls (echo, noise and gain) eats music and hums.
const AS_IT_IS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

// Why this page cannot record, in words; empty when it can.
export function whyNoMicrophone() {
  if (navigator.mediaDevices && window.MediaRecorder) return "";
  return window.isSecureContext
    ? "This browser gives pages no microphone; choose a file instead."
    : "Browsers give the microphone to pages over HTTPS only; open this page by https://, or choose a file.";
}

// A stream of it. Throws an Error that says in words why there is none.
export async function openMicrophone() {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS });
  } catch (error) {
    throw new Error(
      error.name === "NotFoundError"
        ? "There is no microphone."
        : "The browser does not let this page use the microphone; allow it and try again.",
      { cause: error },
    );
  }
}

export function closeMicrophone(stream) {
  for (const track of stream.getTracks()) track.stop();
}

// What a MediaRecorder gave, as a file with the suffix of its type.
export function recordedFile(chunks, mimeType, name) {
  const type = mimeType.split(";")[0] || "audio/webm";
  const suffix = type.includes("mp4") ? "m4a" : type.includes("ogg") ? "ogg" : "webm";
  return new File(chunks, `${name}.${suffix}`, { type });
}
