package org.jenkinsci.plugins.workflow.libs

import java.lang.annotation.ElementType
import java.lang.annotation.Retention
import java.lang.annotation.RetentionPolicy
import java.lang.annotation.Target

/** `@Library('uv-actions@v1') _`; the build reads its value in the text of the Jenkinsfile. */
@Retention(RetentionPolicy.SOURCE)
@Target([ElementType.LOCAL_VARIABLE, ElementType.TYPE, ElementType.FIELD, ElementType.PACKAGE])
@interface Library {
    String[] value()
    boolean changelog() default true
}
